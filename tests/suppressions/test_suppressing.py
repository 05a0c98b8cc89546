from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.protocol.address import InvalidAddress
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import RemovalRefused, suppress, suppress_all, unsuppress
from tests.factories import make_stream

pytestmark = pytest.mark.django_db


class TestSuppress:
    def test_makes_one_entry_of_all_ways_to_write_an_address(self):
        suppress(address="Bob@Example.COM", stream=None, reason="hard_bounce")
        suppress(address=" bob@example.com ", stream=None, reason="hard_bounce")
        assert Suppression.objects.get().address == "Bob@Example.COM"

    def test_keeps_streams_apart(self):
        stream = make_stream()
        suppress(address="bob@example.com", stream=stream, reason="unsubscribe")
        suppress(address="bob@example.com", stream=None, reason="manual")
        assert Suppression.objects.count() == 2

    @pytest.mark.parametrize(
        ("first", "then", "stays"),
        [
            ("complaint", "hard_bounce", "complaint"),
            ("hard_bounce", "complaint", "complaint"),
            ("unsubscribe", "manual", "unsubscribe"),
            ("imported", "unsubscribe", "unsubscribe"),
            ("manual", "soft_bounces", "manual"),
            ("manual", "hard_bounce", "manual"),
            ("hard_bounce", "imported", "imported"),
        ],
    )
    def test_keeps_the_stronger_reason(self, first, then, stays):
        suppress(address="bob@example.com", stream=None, reason=first, evidence_text=first)
        suppress(address="bob@example.com", stream=None, reason=then, evidence_text=then)
        entry = Suppression.objects.get()
        assert (entry.reason, entry.evidence_text) == (stays, stays)

    @pytest.mark.parametrize(
        ("first", "stays"), [("complaint", "complaint"), ("manual", "hard_bounce")]
    )
    def test_keeps_the_longer_time_and_what_it_is_for(self, first, stays):
        week = timezone.now() + timedelta(days=7)
        suppress(address="bob@example.com", stream=None, reason=first, expires_at=week)
        suppress(address="bob@example.com", stream=None, reason="hard_bounce")
        entry = Suppression.objects.get()
        assert (entry.reason, entry.expires_at) == (stays, None)

    def test_does_not_shorten_an_entry_by_a_stronger_reason(self):
        suppress(address="bob@example.com", stream=None, reason="manual")
        soon = timezone.now() + timedelta(days=1)
        suppress(address="bob@example.com", stream=None, reason="complaint", expires_at=soon)
        assert Suppression.objects.get().expires_at is None

    def test_starts_anew_where_the_entry_has_expired(self):
        past = timezone.now() - timedelta(days=1)
        suppress(address="bob@example.com", stream=None, reason="complaint", expires_at=past)
        later = timezone.now() + timedelta(days=1)
        suppress(address="bob@example.com", stream=None, reason="soft_bounces", expires_at=later)
        entry = Suppression.objects.get()
        assert (entry.reason, entry.expires_at) == ("soft_bounces", later)

    def test_refuses_what_is_no_address(self):
        with pytest.raises(InvalidAddress):
            suppress(address="bob at example", stream=None, reason="manual")

    def test_audits_what_a_person_adds(self, operator):
        suppress(address="bob@example.com", stream=None, reason="manual", actor=operator)
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.actor, entry.after["reason"]) == (
            "suppression.add",
            operator,
            "manual",
        )

    def test_keeps_no_blank_that_nobody_sees(self):
        entry = suppress(address="\ufeffbob@example.com\u200b", stream=None, reason="manual")
        assert entry.address == "bob@example.com"

    def test_needs_no_audit_where_nothing_changed(self, operator):
        for _ in range(2):
            suppress(address="bob@example.com", stream=None, reason="manual", actor=operator)
        assert AuditEntry.objects.count() == 1


class TestSuppressAll:
    """Many at once end as one after the other."""

    ENTRIES = ("ann", "bob", "cyd", "dan", "eve", "ann", "bob")

    def given(self, stream):
        later = timezone.now() + timedelta(days=90)
        said = [
            {"reason": "hard_bounce", "evidence_text": "550"},
            {"reason": "soft_bounces", "expires_at": later},
            {"reason": "complaint", "stream": stream},
            {"reason": "hard_bounce", "evidence_event_id": 7},
            {"reason": "manual"},
            {"reason": "hard_bounce", "evidence_text": "551"},
            {"reason": "hard_bounce", "expires_at": later},
        ]
        return [
            {"address": f"{name}@example.com", "stream": None, **one}
            for name, one in zip(self.ENTRIES, said, strict=True)
        ]

    def stand(self, stream):
        now = timezone.now()
        suppress(address="bob@example.com", stream=None, reason="unsubscribe")
        suppress(address="cyd@example.com", stream=None, reason="hard_bounce")
        past = now - timedelta(days=1)
        suppress(address="dan@example.com", stream=None, reason="complaint", expires_at=past)
        suppress(address="eve@example.com", stream=None, reason="soft_bounces")

    def found(self):
        columns = ("address_key", "stream", "reason", "evidence_text", "evidence_event_id", "created_by", "expires_at")  # fmt: skip
        return sorted(Suppression.objects.values_list(*columns), key=str)

    def test_as_one_by_one(self, django_assert_max_num_queries):
        stream = make_stream()
        given = self.given(stream)
        self.stand(stream)
        for one in given:
            suppress(**one)
        wanted = self.found()
        Suppression.objects.all().delete()
        self.stand(stream)
        with django_assert_max_num_queries(8):
            suppress_all([Suppression(**one, address_key=one["address"]) for one in given])
        assert self.found() == wanted
        suppress_all([])


class TestCovering:
    def test_finds_the_entry_for_all_streams_and_that_of_the_stream(self):
        mine, other = make_stream(), make_stream()
        everywhere = suppress(address="bob@example.com", stream=None, reason="manual")
        here = suppress(address="bob@example.com", stream=mine, reason="manual")
        suppress(address="bob@example.com", stream=other, reason="manual")
        suppress(address="eve@example.com", stream=None, reason="manual")
        assert set(Suppression.objects.covering("bob@example.com", mine)) == {everywhere, here}

    def test_passes_over_what_has_expired(self):
        past = timezone.now() - timedelta(seconds=1)
        suppress(address="bob@example.com", stream=None, reason="manual", expires_at=past)
        assert not Suppression.objects.covering("bob@example.com", None).exists()


class TestUnsuppress:
    def test_removes_the_entry_and_audits_why(self, operator):
        entry = suppress(address="bob@example.com", stream=None, reason="unsubscribe")
        unsuppress(suppression=entry, reason="asked us by phone", actor=operator)
        assert not Suppression.objects.exists()
        told = AuditEntry.objects.get()
        assert (told.verb, told.reason) == ("suppression.remove", "asked us by phone")
        assert told.before["address"] == "bob@example.com"

    def test_needs_a_reason(self, operator):
        entry = suppress(address="bob@example.com", stream=None, reason="manual")
        with pytest.raises(RemovalRefused, match="Say why"):
            unsuppress(suppression=entry, reason=" ", actor=operator)

    @pytest.mark.parametrize("asked", ["unsubscribe", "complaint"])
    def test_needs_a_person_for_what_the_recipient_asked(self, asked):
        entry = suppress(address="bob@example.com", stream=None, reason=asked)
        with pytest.raises(RemovalRefused, match="only a person"):
            unsuppress(suppression=entry, reason="it works again")
        assert Suppression.objects.exists()
