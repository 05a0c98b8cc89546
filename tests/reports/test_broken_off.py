"""What people began on many rows and mailops gave up, on the overview."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailops.audiences.models import Import
from mailops.outbox.models import EventKind, RelayLog, Resending
from mailops.outbox.recording import Outcome, record
from mailops.reports.attention import matters
from mailops.suppressions.models import ProviderSync, SuppressionImport, TakingBack
from tests.factories import (
    make_audience,
    make_campaign,
    make_message,
    make_suppression_import,
    make_transport,
)
from tests.outbox.doubts import doubt, make_doubtful, make_relay_log, make_settlement

pytestmark = pytest.mark.django_db


def settlement():
    """Settle what is in doubt for a reason, beginning with the first of them."""

    def make(**fields):
        make_doubtful(reason=fields.get("reason", "no_final_reply"))
        return make_settlement(**{"until": timezone.now(), **fields})

    return make


def resending():
    campaign = make_campaign(name="Spring", state="completed")
    given = {"campaign": campaign, "chosen": {"status": "bounced"}, "planned": 5, "queued": 2}
    return lambda **fields: Resending.objects.create(
        **{"key": uuid4(), "until": timezone.now(), **given, **fields}
    )


def audience_import():
    given = {"audience": make_audience(name="Readers"), "file_name": "people.csv"}
    return lambda **fields: Import.objects.create(**{**given, **fields})


def suppression_import():
    return make_suppression_import


def taking_back():
    def make(file_name="list.csv", **fields):
        run, _ = SuppressionImport.objects.get_or_create(file_name=file_name, reason="imported")
        return TakingBack.objects.update_or_create(run=run, defaults=fields)[0]

    return make


def relay_log():
    transport = make_transport()
    given = {"transport": transport, "file_name": "mail.log", "size": 9, "time_zone": "UTC"}
    return lambda **fields: RelayLog.objects.create(**{**given, **fields})


SORTS = {
    settlement: ("outbox:settlement", "“Count as accepted” broke off after 2 of 3 messages", "warn"),
    resending: (
        "outbox:resending",
        "Sending again messages of Spring broke off after 2 of 5 messages",
        "warn",
    ),
    audience_import: (
        "audiences:import-detail",
        "The import of people.csv into Readers broke off",
        "warn",
    ),
    suppression_import: (
        "suppressions:import",
        "The list of suppressions list.csv was not read to its end",
        "bad",
    ),
    taking_back: (
        "suppressions:take-back",
        "Taking back the suppressions of list.csv broke off",
        "warn",
    ),
    relay_log: ("outbox:relay-log", "The relay's log mail.log could not be read", "warn"),
}  # fmt: skip


def other(sort, n=1):
    """Return what tells another of the sort from the first."""
    if sort is settlement:
        return {"reason": f"reason {n}"}
    return {"chosen": {"reason": str(n)}} if sort is resending else {"file_name": f"{n}.csv"}


@pytest.fixture(params=SORTS, ids=lambda sort: sort.__name__)
def sort(request):
    return request.param


def news():
    """Return what the overview tells, but for the doubt of messages itself."""
    return [one for one in matters() if not one.title.endswith("uncertain")]


class TestWorkThatBrokeOff:
    def fail(self, make):
        return make(state="failed", sentence="Row 7 broke it.", finished_at=timezone.now())

    def test_is_named_with_why_and_where_to_go(self, sort):
        run = self.fail(sort())
        page, title, tone = SORTS[sort]
        (matter,) = news()
        assert (matter.title, matter.tone) == (title, tone)
        assert matter.sentence.startswith("Row 7 broke it.")
        assert matter.url == reverse(page, args=[run.pk])
        assert matter.since == run.finished_at

    def test_is_named_until_it_is_begun_anew(self, sort):
        make = sort()
        self.fail(make)
        self.fail(make)
        assert len(news()) == 1
        make(state="running")
        assert news() == []

    def test_is_no_news_after_a_week(self, sort):
        run = self.fail(sort())
        type(run).objects.update(created_at=timezone.now() - timedelta(days=8))
        assert news() == []

    def test_is_not_mended_by_another(self, sort):
        make = sort()
        self.fail(make)
        make(state="completed", **other(sort))
        assert len(news()) == 1

    def test_costs_the_same_with_much(self, sort):
        make = sort()
        self.fail(make)
        with CaptureQueriesContext(connection) as with_one:
            news()
        for n in range(3):
            self.fail(partial(make, **other(sort, n)))
        with CaptureQueriesContext(connection) as with_many:
            assert len(news()) == 4
        assert len(with_many) == len(with_one)


class TestASettlementThatBrokeOff:
    """It is no news once nothing is left of what it was to settle, whoever saw to that."""

    @pytest.fixture
    def message(self):
        return make_doubtful()

    def fail(self, message, act="accept", **fields):
        given = {"state": "failed", "act": act, "until": timezone.now(), **fields}
        return make_settlement(stream=message.stream, **given)

    def settled(self, message):
        return Outcome(
            message_id=message.pk,
            kind=EventKind.SETTLED,
            source="person",
            external_id=f"settled:{message.pk}",
            fence=message.settling_fence,
        )

    @pytest.mark.parametrize("act", ["accept", "again"])
    def test_vanishes_when_a_person_settles_the_rest_one_by_one(self, act, message):
        self.fail(message, act)
        make_doubtful()  # of another stream
        assert len(matters_of_settlements()) == 1
        record([self.settled(message)])
        assert matters_of_settlements() == []

    def test_says_nothing_of_messages_before_the_one_where_it_broke_off(self, message):
        self.fail(message, cursor=message.pk)
        assert matters_of_settlements() == []

    def test_says_nothing_of_messages_that_came_into_doubt_later(self, message):
        run = self.fail(message)
        record([self.settled(message)])
        later = make_message(stream=message.stream)
        doubt(later, message.transport)
        assert later.settled_at > run.until
        assert matters_of_settlements() == []

    def test_by_a_log_vanishes_when_all_that_the_log_tells_is_settled(self, message):
        self.fail(message, "by_log", relay_log=make_relay_log(message))
        assert len(matters_of_settlements()) == 1
        record([self.settled(message)])
        assert matters_of_settlements() == []

    def test_of_what_a_log_does_not_know_vanishes_where_it_knows_of_all(self, message):
        self.fail(message, "again", relay_log=make_relay_log(message))
        assert matters_of_settlements() == []

    def test_by_a_log_that_is_gone_can_not_be_gone_on_with(self, message):
        self.fail(message, "by_log")
        assert matters_of_settlements() == []

    def test_of_what_a_campaign_owes_vanishes_when_the_campaign_goes_on(self):
        campaign = make_campaign(state="paused", pause_cause="restored")
        make_message(campaign=campaign, stream=campaign.stream)
        make_settlement(state="failed", act="doubt", campaign=campaign)
        assert len(matters_of_settlements()) == 1
        campaign.pause_cause = "person"
        campaign.save()
        assert matters_of_settlements() == []


def matters_of_settlements():
    return [one for one in matters() if "broke off after" in one.title]


def test_an_import_into_a_deleted_audience_is_nobodys_trouble(db):
    run = audience_import()(state="failed", finished_at=timezone.now())
    run.audience.deleted_at = timezone.now()
    run.audience.save()
    assert matters() == []


def test_a_providers_list_is_named_once_it_failed_several_times(db):
    transport = make_transport(name="Postmark", kind="postmark")
    sync = ProviderSync.objects.create(
        transport=transport, sentence="The key is refused.", failures=2
    )
    assert matters() == []
    sync.failures = 3
    sync.save()
    (matter,) = matters()
    assert matter.title == "The suppression list of Postmark can't be kept in step"
    assert matter.sentence.startswith("The key is refused.")
    assert matter.url == reverse("suppressions:sync", args=[transport.pk])
