"""The pages of what mailbox providers are sent at most, and the limits on the forms of transports and streams."""

from datetime import date
from typing import ClassVar

import pytest
from django.test import Client
from django.urls import reverse

from mailops.accounts.meanwhile import first_come
from mailops.accounts.models import AuditEntry
from mailops.transports.limiting import delete_provider_limit, save_warm_up
from mailops.transports.models import ProviderLimit, Stream, WarmUp
from mailops.transports.views import limits
from tests.factories import make_stream, make_transport

pytestmark = pytest.mark.django_db

GMAIL = {
    "mailbox_provider": "Gmail",
    "max_sessions": "5",
    "messages_per_session": "",
    "rate_per_minute": "600",
    "note": "Their postmaster.",
}
URLS = ["providers", "provider-export", "provider-add", "provider-edit", "provider-delete"]


@pytest.fixture
def limit():
    return ProviderLimit.objects.create(mailbox_provider="outlook", max_sessions=3)


def address(name, limit):
    takes_one = name in {"provider-edit", "provider-delete"}
    return reverse(f"transports:{name}", args=[limit.pk] if takes_one else [])


class TestPages:
    @pytest.mark.parametrize("name", URLS)
    def test_open_for_who_may_and_for_nobody_else(self, admin, viewer, logged_in, limit, name):
        url = address(name, limit)
        assert logged_in(admin).get(url).status_code == 200
        assert Client().get(url).status_code == 302
        is_seen = name in {"providers", "provider-export"}
        assert logged_in(viewer).get(url).status_code == (200 if is_seen else 403)

    def test_one_that_is_deleted_while_it_is_saved_stays_so(
        self, admin, logged_in, limit, monkeypatch
    ):
        def delete_first(form):
            delete_provider_limit(limit=limit, actor=None)
            return first_come(form)

        monkeypatch.setattr(limits, "first_come", delete_first)
        assert logged_in(admin).post(address("provider-edit", limit), GMAIL).status_code == 404
        assert not ProviderLimit.objects.exists()

    def test_the_viewer_is_shown_no_button(self, viewer, logged_in, limit):
        page = logged_in(viewer).get(reverse("transports:providers")).content.decode()
        assert "Outlook" in page
        assert "/edit/" not in page
        assert "/add/" not in page

    def test_an_empty_list_says_what_to_do(self, admin, logged_in):
        page = logged_in(admin).get(reverse("transports:providers"))
        assert "No limits of their own yet" in page.content.decode()

    def test_the_list_is_searched_by_name_and_answers_with_a_fragment(
        self, admin, logged_in, limit, django_assert_max_num_queries
    ):
        ProviderLimit.objects.create(mailbox_provider="big.example", rate_per_minute=9)
        client, url = logged_in(admin), reverse("transports:providers")
        with django_assert_max_num_queries(12):
            page = client.get(url, {"q": "OUTL"}, headers={"HX-Request": "true"}).content.decode()
        assert "Outlook" in page
        assert "big.example" not in page
        assert "<html" not in page


class TestSaving:
    def save(self, client, *, url="transports:provider-add", args=(), **changes):
        return client.post(reverse(url, args=args), GMAIL | changes)

    def test_adds_changes_and_deletes_with_a_trail(self, admin, logged_in):
        client = logged_in(admin)
        assert self.save(client).status_code == 302
        limit = ProviderLimit.objects.get()
        assert (limit.mailbox_provider, limit.max_sessions, limit.rate_per_minute) == (
            "gmail",
            5,
            600,
        )
        self.save(client, url="transports:provider-edit", args=[limit.pk], rate_per_minute="60")
        limit.refresh_from_db()
        assert limit.rate_per_minute == 60
        client.post(reverse("transports:provider-delete", args=[limit.pk]))
        trail = AuditEntry.objects.order_by("pk").values_list("verb", "before", "after")
        assert [verb for verb, *_ in trail] == [
            "providerlimit.add",
            "providerlimit.change",
            "providerlimit.delete",
        ]
        assert trail[1][1:] == ({"rate_per_minute": 600}, {"rate_per_minute": 60})

    @pytest.mark.parametrize(
        "changes",
        [
            {"mailbox_provider": ""},
            {"mailbox_provider": "not a provider"},
            {"mailbox_provider": "localhost"},
            {"mailbox_provider": "Outlook"},
            {"max_sessions": "0"},
            {"max_sessions": "-1"},
            {"rate_per_minute": "99999999999"},
            {"max_sessions": "", "rate_per_minute": ""},
        ],
    )
    def test_keeps_what_was_typed_where_it_is_wrong(self, admin, logged_in, limit, changes):
        answer = self.save(logged_in(admin), **changes)
        assert answer.status_code == 422
        assert "Their postmaster." in answer.content.decode()
        assert ProviderLimit.objects.count() == 1

    @pytest.mark.parametrize(
        ("given", "kept"), [("gmx and web.de", "gmx"), ("Bücher.Example", "xn--bcher-kva.example")]
    )
    def test_knows_providers_by_name_and_by_domain(self, admin, logged_in, given, kept):
        self.save(logged_in(admin), mailbox_provider=given)
        assert ProviderLimit.objects.get().mailbox_provider == kept

    def test_replaces_no_change_that_was_not_seen(self, admin, logged_in, limit):
        client, edit = logged_in(admin), {"url": "transports:provider-edit", "args": [limit.pk]}
        page = client.get(address("provider-edit", limit))
        seen = {"seen": page.context["form"]["seen"].value(), "mailbox_provider": "Outlook"}
        for _ in range(2):  # the same once more is no conflict
            assert self.save(client, **edit, **seen).status_code == 302
        stopped = self.save(client, **edit, **seen, max_sessions="7", note="Mine.")
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        assert dict(stopped.context["meanwhile"].facts) == {
            "Sessions at once": "5",
            "Note": "Their postmaster.",
        }
        assert "Mine." in stopped.text
        limit.refresh_from_db()
        assert (limit.max_sessions, limit.rate_per_minute) == (5, 600)
        seen["seen"] = stopped.context["form"]["seen"].value()
        assert self.save(client, **edit, **seen, max_sessions="7").status_code == 302
        limit.refresh_from_db()
        assert limit.max_sessions == 7


class TestSavingRamps:
    GIVEN: ClassVar = {
        "mailbox_provider": "",
        "started_on": "2026-03-01",
        "first_day": "50",
        "growth_percent": "50",
        "full_volume": "5000",
    }

    def test_replaces_no_change_that_was_not_seen(self, admin, logged_in):
        transport = make_transport()
        ramp, other = (
            WarmUp.objects.create(
                transport=transport, mailbox_provider=name, started_on=date(2026, 3, 1)
            )
            for name in ("", "gmail")
        )
        client = logged_in(admin)
        url = reverse("transports:warm-up-edit", args=[ramp.pk])
        given = {**self.GIVEN, "seen": client.get(url).context["form"]["seen"].value()}
        for _ in range(2):  # the same once more is no conflict
            assert client.post(url, given | {"first_day": "80"}).status_code == 302
        save_warm_up(warm_up=other, actor=None)  # another ramp's change is no word about this one
        stopped = client.post(url, given | {"first_day": "20", "growth_percent": "30"})
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        assert dict(stopped.context["meanwhile"].facts) == {
            "Messages on the first day": "80",
            "More each day, in percent": "50",
        }
        assert 'value="30"' in stopped.text
        ramp.refresh_from_db()
        assert (ramp.first_day, ramp.full_volume) == (80, 5000)
        given["seen"] = stopped.context["form"]["seen"].value()
        assert client.post(url, given | {"first_day": "20"}).status_code == 302
        ramp.refresh_from_db()
        assert ramp.first_day == 20


class TestRamps:
    """A ramp for a domain holds its mail only as long as that waits apart, by limits of its own."""

    @pytest.fixture(params=["small.example", "outlook"])
    def warmed(self, request):
        limit = ProviderLimit.objects.create(mailbox_provider=request.param, max_sessions=3)
        WarmUp.objects.create(
            transport=make_transport(name="Relay"),
            mailbox_provider=request.param,
            started_on="2026-03-01",
        )
        return limit

    def test_keep_the_limits_that_they_need(self, admin, logged_in, warmed):
        url = reverse("transports:provider-delete", args=[warmed.pk])
        page = logged_in(admin).post(url, follow=True).text
        is_needed = not warmed.is_known
        assert ("small.example is being warmed up through Relay" in page) is is_needed
        assert ProviderLimit.objects.exists() is is_needed

    def test_keep_them_under_their_name(self, admin, logged_in, warmed):
        url = reverse("transports:provider-edit", args=[warmed.pk])
        renamed = GMAIL | {"mailbox_provider": "other.example"}
        assert logged_in(admin).post(url, renamed).status_code == (302 if warmed.is_known else 422)
        assert logged_in(admin).post(url, GMAIL | {"mailbox_provider": str(warmed)}).status_code


class TestReserves:
    def test_are_the_kind_s_where_a_stream_says_nothing(self):
        assert make_stream(kind="transactional").reserved == 30
        assert make_stream(kind="bulk").reserved == 0
        assert make_stream(kind="transactional", reserved_percent=0).reserved == 0

    @pytest.mark.parametrize(("percent", "status"), [("40", 302), ("91", 422), ("x", 422)])
    def test_are_set_on_the_stream_s_form(self, admin, logged_in, percent, status):
        stream = make_stream()
        client, url = logged_in(admin), reverse("transports:stream-edit", args=[stream.pk])
        form = client.get(url).context["form"]
        data = {name: form[name].value() or "" for name in form.fields}
        assert client.post(url, data | {"reserved_percent": percent}).status_code == status
        assert Stream.objects.get().reserved_percent == (40 if status == 302 else None)
