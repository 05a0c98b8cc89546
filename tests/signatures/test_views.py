"""The pages of signatures."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.lib.moments import NOT_LATER, YET_TO_COME
from mailops.outbox.models import Signature
from mailops.outbox.sightings import fold_sightings
from mailops.protocol.reply import Reply
from tests.factories import make_message, make_stream
from tests.outbox.answers import NO_SUCH, ODD, answer, make_refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(viewer, logged_in):
    return logged_in(viewer)


class TestList:
    URL = "/signatures/"

    def test_shows_the_commonest_first_and_marks_new_ones(self, client):
        make_refused(ODD)
        for _ in range(2):
            make_refused()
        page = client.get(self.URL)
        assert [line.n for line in page.context["lines"]] == [2, 1]
        assert page.text.index("no such user") < page.text.index("the moon is full")
        assert page.text.count(">New<") == 2

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"q": "moon full"}, 1),
            ({"q": "554"}, 1),
            ({"q": "%"}, 0),
            ({"reason": "unknown_mailbox"}, 1),
            ({"mailbox_provider": "gmail"}, 1),
            ({"range": "1h"}, 2),
            ({"range": "365d"}, 2),
            ({"range": "all"}, 2),
            ({"since": "2020-01-01", "until": "2020-01-02"}, 0),
            ({"since": "2026-11-01T10:00 01:00", "until": "2026-11-01T12:00+01:00"}, 0),
        ],
    )
    def test_is_filtered(self, client, query, found):
        make_refused(mailbox_provider="gmail")
        make_refused(ODD)
        assert len(client.get(self.URL, query).context["lines"]) == found

    def test_is_filtered_by_stream_transport_domain_and_campaign(self, client):
        ours = make_refused()
        make_refused(ODD)
        for query in (
            {"stream": ours.stream_id},
            {"domain": ours.stream.domain_id},
        ):
            assert len(client.get(self.URL, query).context["lines"]) == 1

    @pytest.mark.parametrize(
        "query",
        [
            {"stream": "x"},
            {"reason": "nonsense"},
            {"since": "yesterday"},
            {"since": "2026-11-02", "until": "2026-11-01"},
            {"since": "0001-01-01"},
            {"since": "2001-01-01", "until": "2099-01-01"},
            {"campaign": "9" * 30},
        ],
    )
    def test_refuses_nonsense(self, client, query):
        assert client.get(self.URL, query).status_code == 422
        assert client.get("/signatures/export/", query).status_code == 422

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ({"since": "2026-11-02", "until": "2026-11-02"}, NOT_LATER),
            ({"since": "2099-11-02"}, YET_TO_COME),
        ],
    )
    def test_says_why_no_time_is_left(self, client, query, words):
        assert words in client.get(self.URL, query).text

    def test_costs_the_same_however_many_there_are(self, client, django_assert_max_num_queries):
        for number in range(6):
            make_refused(Reply(550, f"5.1.1 {'no ' * (number + 1)}such user", "5.1.1"))
        with django_assert_max_num_queries(14):
            assert len(client.get(self.URL).context["lines"]) == 6

    def test_sends_only_the_results_to_htmx(self, client):
        make_refused()
        answered = client.get(self.URL, headers={"HX-Request": "true"}).text
        assert answered.lstrip().startswith('<div id="results"')

    def test_exports(self, client):
        make_refused(Reply(550, '=cmd("x") is no user', "5.1.1"))
        rows = client.get("/signatures/export/").getvalue().decode("utf-8-sig").splitlines()
        assert rows[0].startswith("signature,name,code")
        assert ",=cmd" not in rows[1]

    def test_is_empty_at_first(self, client):
        assert "No refusals" in client.get(self.URL).text

    def test_asks_strangers_to_log_in(self, client):
        client.logout()
        assert client.get(self.URL).status_code == 302


class TestDetail:
    def test_says_what_it_means_and_who_got_it(self, client):
        message = make_refused(mailbox_provider="gmail")
        page = client.get(reverse("signatures:detail", args=[message.signature_id])).text
        for words in (
            "550 5.1.1 no such user",
            "There is no such mailbox.",
            "Gmail",
            message.recipient,
        ):
            assert words in page
        assert "Send these again" not in page

    def test_offers_to_send_again_to_those_who_may(self, operator, logged_in):
        message = make_refused()
        page = logged_in(operator).get(reverse("signatures:detail", args=[message.signature_id]))
        assert f"/messages/send-again/?signature={message.signature_id}" in page.text

    def test_draws_when_they_came(self, client):
        message = make_message()
        answer(message, ODD, at=timezone.now() - timedelta(days=3))
        fold_sightings()
        message.refresh_from_db()
        page = client.get(
            reverse("signatures:detail", args=[message.signature_id]), {"range": "7d"}
        )
        drawn = page.context["drawn"]
        values = drawn.chart["series"][0]["values"]
        assert sum(values) == 1
        assert len(values) == len(drawn.axis["opens"]) == len(drawn.axis["steps"]) - 1
        then = [at for at, n in zip(drawn.axis["steps"], values, strict=False) if n]
        assert then[0] <= (timezone.now() - timedelta(days=3)).isoformat()

    def test_shows_whatever_a_server_said_as_text(self, client):
        message = make_refused(Reply(550, "5.0.0 <script>x</script> \u202eevil \0 " + "y" * 99_000))
        page = client.get(reverse("signatures:detail", args=[message.signature_id])).text
        assert "<script>x" not in page
        assert len(page) < 100_000

    def test_exports_its_history(self, client):
        message = make_refused()
        url = reverse("signatures:history", args=[message.signature_id])
        assert b"bounced" in client.get(url).getvalue().splitlines()[0]
        assert client.get(url, {"since": "no"}).status_code == 422

    @pytest.mark.parametrize("number", [17, 2**80])
    def test_is_not_there_for_an_unknown_one(self, client, number):
        assert client.get(f"/signatures/{number}/").status_code == 404

    def test_has_a_page_for_all_others(self, client):
        Signature.objects.create(pk=0, first_at=timezone.now(), last_at=timezone.now())
        assert "All other replies" in client.get("/signatures/0/").text


class TestPanel:
    def test_shows_the_top_of_a_place(self, client):
        stream = make_stream()
        make_refused(stream=stream)
        make_refused(ODD)
        page = client.get(
            "/signatures/panel/", {"stream": stream.pk}, headers={"HX-Request": "true"}
        )
        assert NO_SUCH.text.partition(" ")[2].lower() in page.text
        assert "moon" not in page.text
