"""Looks are matched, judged and counted once; nothing is kept where nobody asks for it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.outbox.models import Event, EventKind, Message, Status
from mailops.outbox.models.standing import Evidence
from mailops.suppressions.models import Suppression
from mailops.tracking.counting import LinkFigure, look_differences, top_links
from mailops.tracking.forgetting import forget_old
from mailops.tracking.machines import BURST
from mailops.tracking.models import Hit, Look, LookCount
from mailops.tracking.reading import read_hits
from mailops.transports.models import Stream
from tests.factories import make_campaign, make_suppression
from tests.tracking.conftest import LONG_AGO, PHONE
from tests.tracking.mails import (
    SALE,
    YOURS,
    click_path,
    picture_path,
    tracked_message,
    tracking_stream,
)

pytestmark = pytest.mark.django_db
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


def make_sent(**fields):
    return tracked_message(
        with_entry=False,
        status=Status.ACCEPTED,
        evidence=Evidence.ACCEPTED,
        accepted_at=timezone.now() - LONG_AGO,
        **fields,
    )


@pytest.fixture
def sent():
    return make_sent()


@pytest.fixture
def call(client):
    def call(path, user_agent=PHONE, **headers):
        return client.get(path, headers={"User-Agent": user_agent, **headers})

    return call


def looked():
    return {(look.kind, look.who) for look in Look.objects.filter(link=0)}


def told():
    return sorted(Event.objects.values_list("kind", "reason"))


class TestOnce:
    def test_a_look_is_one_event_however_often(self, call, read, sent):
        for _ in range(3):
            call(picture_path(sent))
            call(click_path(sent))
            assert read() == 2
        assert told() == [(EventKind.CLICKED, ""), (EventKind.OPENED, "")]
        assert set(Look.objects.values_list("link", "times").distinct()) >= {(0, 3)}
        assert look_differences() == []

    def test_each_link_is_counted_once_a_message(self, call, read, sent):
        other = make_sent(stream=sent.stream)
        for message, target in ((sent, SALE), (sent, YOURS), (other, SALE), (sent, SALE)):
            call(click_path(message, target, "{{ link }}" if target == YOURS else None))
            read()
            Hit.objects.update(at=timezone.now() - timedelta(hours=1))
        assert told() == [(EventKind.CLICKED, "")] * 2
        assert top_links(stream_id=sent.stream_id) == [
            LinkFigure(SALE, people=2, machines=0),
            LinkFigure("{{ link }}", people=1, machines=0),
        ]
        assert look_differences() == []

    def test_a_link_is_called_as_its_template_writes_it_whoever_gets_it(self, call, read, sent):
        call(click_path(sent, YOURS, "{{ link }}"))
        read()
        assert set(LookCount.objects.values_list("written", flat=True)) == {"", "{{ link }}"}

    def test_a_campaigns_looks_are_its_own(self, call, read):
        stream = tracking_stream()
        campaign = make_campaign(stream=stream)
        call(click_path(make_sent(stream=stream, campaign=campaign)))
        call(click_path(make_sent(stream=stream)))
        read()
        assert top_links(campaign_id=campaign.pk) == [LinkFigure(SALE, 1, 0)]
        assert top_links(stream_id=stream.pk) == [LinkFigure(SALE, 2, 0)]
        assert look_differences() == []

    def test_a_wrong_count_is_found(self, call, read, sent):
        call(click_path(sent))
        read()
        LookCount.objects.filter(link=0).update(people=5)
        (difference,) = look_differences()
        assert (difference.recount, difference.count) == (1, 5)

    def test_a_look_says_that_the_mail_arrived(self, call, read, sent):
        Message.objects.update(status=Status.UNCERTAIN, evidence=Evidence.NONE)
        call(picture_path(sent))
        read()
        assert Message.objects.get().status == Status.ACCEPTED

    def test_waits_for_what_comes_beside_it(self, call, read, sent):
        call(click_path(sent))
        assert read(seconds_ago=-60) == 0
        assert read_hits() == 0


class TestWho:
    @pytest.mark.parametrize(
        ("user_agent", "who"),
        [(PHONE, "person"), (GMAIL, "proxy"), ("Mozilla/5.0", "proxy"), ("YahooMailProxy; https://help.yahoo.com/", "proxy"),
         ("Barracuda Sentinel (EE)", "machine"), ("", "machine"), ("python-requests/2.32", "machine"),
         ("Mozilla/5.0 (Linux; Android 10; CUBOT X20 PRO) AppleWebKit/537.36 (KHTML, like Gecko)", "person")],
    )  # fmt: skip
    def test_is_told_by_the_program(self, call, read, sent, user_agent, who):
        call(picture_path(sent), user_agent)
        read()
        assert looked() == {("open", who)}
        (event,) = Event.objects.all()
        assert event.data["who"] == who
        assert bool(event.reason) == bool(event.sentence) == (who != "person")

    def test_a_proxy_that_follows_a_link_is_a_machine(self, call, read, sent):
        call(click_path(sent), GMAIL)
        read()
        assert looked() == {("click", "machine")}

    def test_people_and_machines_are_counted_apart(self, call, read, sent):
        for user_agent in (PHONE, GMAIL, "curl/8"):
            call(picture_path(sent), user_agent)
        read()
        count = LookCount.objects.get()
        assert (count.people, count.proxies, count.machines) == (1, 1, 1)
        assert told() == [("opened", ""), ("opened", "machine"), ("opened", "mail_program")]

    def test_who_follows_two_links_within_a_second_is_a_machine(self, call, read, sent):
        call(click_path(sent))
        call(click_path(sent, YOURS))
        read()
        assert looked() == {("click", "machine")}
        assert "within a second" in Event.objects.get().sentence

    def test_also_where_the_first_was_read_before(self, call, intake, sent):
        at = timezone.now() - timedelta(minutes=1)
        for path, when in ((click_path(sent), at), (click_path(sent, YOURS), at + BURST / 2)):
            call(path)
            intake.flush()
            Hit.objects.filter(is_read=False).update(at=when)
            assert read_hits() == 1
        assert looked() == {("click", "person"), ("click", "machine")}

    def test_who_asked_first_whether_the_page_is_there_is_a_machine(self, call, client, read, sent):
        client.head(click_path(sent))
        call(click_path(sent))
        read()
        assert looked() == {("click", "machine")}

    def test_who_is_quicker_than_people_is_a_machine(self, call, read, sent):
        Message.objects.update(accepted_at=timezone.now())  # by a clock that is ahead
        call(click_path(sent))
        read()
        assert looked() == {("click", "machine")}


class TestNothing:
    def test_is_kept_once_the_stream_does_not_ask_any_more(self, call, read, sent):
        Stream.objects.update(tracks_opens=False, tracks_clicks=False)
        call(picture_path(sent))
        call(click_path(sent))
        read()
        assert not Event.objects.exists()
        assert not Look.objects.exists()

    @pytest.mark.parametrize(
        "reason", [Suppression.Reason.UNSUBSCRIBE, Suppression.Reason.COMPLAINT]
    )
    def test_is_kept_of_people_who_left(self, call, read, sent, reason):
        make_suppression(address=sent.recipient, address_key=sent.address_key, reason=reason)
        call(click_path(sent))
        read()
        assert not Look.objects.exists()

    def test_is_kept_of_mail_that_is_too_old(self, call, read, sent):
        Message.objects.update(created_at=timezone.now() - timedelta(days=93))
        call(click_path(sent))
        assert read() == 1
        assert not Look.objects.exists()

    def test_is_kept_of_a_message_that_is_gone(self, call, read, sent):
        call(click_path(sent))
        Message.objects.all().delete()
        assert read() == 1

    def test_is_kept_of_an_address(self):
        names = {
            field.name for model in (Hit, Look, LookCount) for field in model._meta.get_fields()
        }
        assert not {name for name in names if "ip" in name.split("_") or "peer" in name}


class TestForgetting:
    def test_leaves_the_counts(self, call, read, sent):
        call(click_path(sent))
        read()
        assert not forget_old()
        assert Look.objects.count() == 2
        long_ago = timezone.now() - timedelta(days=93)
        Hit.objects.update(at=long_ago)
        Look.objects.update(first_at=long_ago)
        LookCount.objects.update(day=long_ago.date())
        assert not forget_old()
        assert not Hit.objects.exists()
        assert not Look.objects.exists()
        assert top_links(stream_id=sent.stream_id) == [LinkFigure(SALE, 1, 0)]
        assert look_differences() == []

    def test_what_was_not_read_stays(self, call, intake, sent):
        call(click_path(sent))
        intake.flush()
        Hit.objects.update(at=timezone.now() - timedelta(days=30))
        forget_old()
        assert Hit.objects.exists()
