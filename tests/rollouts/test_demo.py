from datetime import UTC
from random import Random
from stat import S_IMODE

import dkim
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailops.accounts.models import AuditEntry, User
from mailops.audiences.models import Import
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import blockers, why_stale
from mailops.content.rendering import compile_version
from mailops.domains import signing as domain_signing
from mailops.domains.demo_zones import made_keys
from mailops.domains.models import SigningKey
from mailops.outbox.models import Message, QueueEntry, Status, Tally
from mailops.reports.composing import numbers_of
from mailops.reports.models import Figure, Objective, QueueSample
from mailops.reports.objectives import standing
from mailops.reports.outcomes import COMPLAINT_THRESHOLDS
from mailops.reports.periods import Step, last_days
from mailops.reports.verifying import differences
from mailops.rollouts.demo.cast import CAST, hire_cast, password_file
from mailops.rollouts.demo.filling import WAITING, fill_demo
from mailops.rollouts.demo.people import COMPLAINERS, MEMBERS, SIMULATED, _addresses, is_simulated
from mailops.rollouts.demo.writing import LETTER, ORDER, write_mail
from mailops.rollouts.models import ChecklistItem
from mailops.sandbox.simulating import BEHAVIORS
from mailops.suppressions.models import Suppression
from mailops.transports.models import Stream, Transport

pytestmark = pytest.mark.django_db


def shown(name):
    """Answer as the demo's name server would."""
    return made_keys()[name.decode().rstrip(".")]["TXT"][0].encode()


class TestFilling:
    def test_tells_its_past_in_order_and_without_a_rate_that_nothing_was_opened_for(self, tmp_path):
        assert fill_demo(home=tmp_path)
        told = list(AuditEntry.objects.order_by("id").values_list("at", flat=True))
        assert told == sorted(told)
        period = last_days(timezone.now(), 7, UTC, Step.DAY)
        lowest = COMPLAINT_THRESHOLDS[0][0]
        assert 0 < (numbers_of({}, period).total.complaint_rate or 0) < lowest

    def test_leaves_a_whole_and_balanced_example_once(self, tmp_path):
        assert fill_demo(home=tmp_path)

        waiting = Campaign.objects.get(name=WAITING)
        rehearsal = waiting.preflights.get()
        assert waiting.is_draft
        assert (blockers(rehearsal), why_stale(rehearsal, waiting)) == ({}, "")
        assert rehearsal.members == MEMBERS
        assert 1_800 < rehearsal.sendable < MEMBERS

        for past in Campaign.objects.exclude(pk=waiting.pk):
            statuses = Message.objects.filter(campaign=past).values_list("status", flat=True)
            assert past.state == Campaign.State.COMPLETED
            assert len(statuses) == past.planned
            assert set(statuses) <= {Status.ACCEPTED, Status.BOUNCED, Status.SUPPRESSED}
        providers = set(Message.objects.values_list("mailbox_provider", flat=True))
        assert {"gmail", "outlook", "yahoo"} <= providers  # the words of today's messages
        assert not any(name.endswith("y.example") for name in providers)
        assert not QueueEntry.objects.exists()
        assert not Message.objects.filter(created_at__gt=timezone.now()).exists()
        assert not Tally.objects.exists()
        assert not differences()
        times = Figure.objects.filter(measure="accept")
        assert not times.filter(kind="0").exists()  # each took its time
        samples = QueueSample.objects.all()
        assert samples.filter(depth_max__gt=100).exists()
        assert not samples.filter(bucket_at__gt=timezone.now()).exists()
        promised = standing(Objective.objects.get(), timezone.now())
        assert 0 < promised.budget.left < 1

        run = Import.objects.get()
        assert (run.added, run.duplicate, run.rejected) == (MEMBERS, 1, 3)
        assert not any(is_simulated(each.address) for each in Suppression.objects.all())
        assert ChecklistItem.objects.filter(state="holds").exists()
        assert ChecklistItem.objects.exclude(state="holds").exists()

        signing = SigningKey.objects.signing()
        domains = {stream.domain_id for stream in Stream.objects.all()}
        assert set(signing.values_list("domain_id", flat=True)) == domains
        assert all(transport.is_signed_here for transport in Transport.objects.all())
        domain_signing.forget_signers()
        for key in signing.select_related("domain"):
            domain_signing.load_signers([key.domain.name])
            mail = f"From: a@{key.domain}\r\nTo: b@googly.example\r\n\r\nHello\r\n".encode()
            signed = domain_signing.sign(mail, key.domain.name)
            assert dkim.verify(signed, dnsfunc=lambda name, **_: shown(name))

        before = Message.objects.count(), AuditEntry.objects.count(), User.objects.count()
        assert not fill_demo(home=tmp_path)
        assert before == (
            Message.objects.count(),
            AuditEntry.objects.count(),
            User.objects.count(),
        )

    def test_what_was_deleted_does_not_come_back(self, tmp_path):
        AuditEntry.objects.create(verb="demo.fill", actor_label="x", subject_type="")
        with CaptureQueriesContext(connection) as queries:
            assert not fill_demo(home=tmp_path)
        assert not any("INSERT" in query["sql"] for query in queries)

    def test_is_refused_where_this_is_no_demo(self, settings):
        settings.MAILOPS_DEMO = False
        with pytest.raises(CommandError, match="MAILOPS_DEMO=1"):
            call_command("fill_demo")


class TestPeople:
    def test_every_simulated_mailbox_is_among_them(self):
        names = [address.partition("@")[0] for address in _addresses(Random(1))]
        assert len(names) == len(set(names)) == MEMBERS
        found = {name.rstrip("0123456789") for name in names if is_simulated(f"{name}@x")}
        assert found == set(BEHAVIORS) - {"accept"}

    def test_complaints_come_when_a_rate_can_be_told(self):
        addresses = _addresses(Random(1))
        places = [
            place for place, address in enumerate(addresses) if address.startswith("complain")
        ]
        assert len(places) == COMPLAINERS
        assert min(places) > 1_500

    def test_bounces_open_an_incident_but_stop_nothing(self):
        bouncing = sum(SIMULATED[name] for name in ("bounce", "policy", "later-bounce"))
        assert 0.05 < bouncing / MEMBERS < 0.08


class TestCast:
    def test_each_role_has_an_account_with_a_password_nobody_else_can_read(self, tmp_path, client):
        hire_cast(tmp_path)
        path = password_file(tmp_path)
        assert S_IMODE(path.stat().st_mode) == 0o600
        accounts = dict(line.split() for line in path.read_text().splitlines())
        assert len(accounts) == len(CAST)
        for email, password in accounts.items():
            assert User.objects.get(email=email).check_password(password)

    def test_a_second_time_changes_no_password(self, tmp_path):
        hire_cast(tmp_path)
        text = password_file(tmp_path).read_text()
        hire_cast(tmp_path)
        assert password_file(tmp_path).read_text() == text


class TestMails:
    @pytest.mark.parametrize("mail", [LETTER, ORDER], ids=["letter", "order"])
    def test_both_versions_render_and_differ(self, mail, operator):
        old, new = write_mail(mail, actor=operator, now=timezone.now())
        texts = [compile_version(each).render(mail.sample).html for each in (old, new)]
        assert "since 2" not in "".join(texts)
        assert texts[0] != texts[1]
        assert old.published_at < new.published_at
        assert all("prefers-color-scheme: dark" in text for text in texts)
