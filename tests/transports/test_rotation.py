"""Moving from one credential to the next, and what a refused log-in does meanwhile."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.lib.secrets import Secret
from mailops.transports.credentials import add_credential
from mailops.transports.models import Credential, Transport
from mailops.transports.rotation import (
    NothingToGoBackTo,
    activate_credential,
    outlives,
    roll_back,
)
from mailops.transports.sessions import Phase, SessionFault
from tests.factories import make_transport

pytestmark = pytest.mark.django_db


@pytest.fixture
def transport():
    return make_transport()


@pytest.fixture
def old(transport):
    return added(transport, "Old")


@pytest.fixture
def new(transport, old):
    return added(transport, "New")


def added(transport, label):
    return add_credential(
        transport=transport, label=label, username="u", secret=Secret(label), actor=None
    )


def refusal_of(credential):
    fault = SessionFault(Phase.AUTH, "auth_failed", "The server refused the log-in.", "535 no")
    fault.login_id = Credential.objects.get(pk=credential.pk).login_id
    return fault


class TestActivate:
    def test_one_that_was_deleted_meanwhile_is_told(self, transport, old, new):
        Credential.objects.filter(pk=new.pk).delete()
        with pytest.raises(Credential.DoesNotExist):
            activate_credential(credential=new, actor=None)
        assert transport.active_credential == old


class TestRollBack:
    def test_returns_to_what_was_in_use_before(self, transport, old, new, admin):
        activate_credential(credential=new, actor=admin)
        assert transport.active_credential.replaces == old
        assert roll_back(transport=transport, actor=admin) == old
        assert transport.active_credential == old
        with pytest.raises(NothingToGoBackTo):
            roll_back(transport=transport, actor=admin)

    def test_needs_one_that_still_has_its_secret(self, transport, old, new, admin):
        activate_credential(credential=new, actor=admin)
        Credential.objects.filter(pk=old.pk).update(secret=b"")
        with pytest.raises(NothingToGoBackTo):
            roll_back(transport=transport, actor=admin)

    def test_lets_go_what_the_new_one_stopped(self, transport, old, new, admin):
        activate_credential(credential=new, actor=admin)
        transport.pause("fault", "The server refused the log-in.")
        roll_back(transport=transport, actor=admin)
        transport.refresh_from_db()
        assert not transport.is_paused

    @pytest.mark.parametrize("cause", ["person", "guardrail"])
    def test_leaves_paused_what_others_paused(self, transport, old, new, admin, cause):
        activate_credential(credential=new, actor=admin)
        transport.pause(cause, "On purpose.")
        roll_back(transport=transport, actor=admin)
        transport.refresh_from_db()
        assert transport.is_paused

    def test_activating_what_is_active_changes_nothing(self, transport, old, admin):
        assert activate_credential(credential=old, actor=admin) is None
        assert not AuditEntry.objects.filter(verb="credential.activate").exists()


class TestOutlives:
    def test_a_refusal_of_the_old_one_stops_nothing(self, transport, old, new):
        activate_credential(credential=new, actor=None)
        assert outlives(transport, refusal_of(old))
        assert transport.active_credential == new

    def test_a_refusal_of_the_new_one_goes_back_by_itself(self, transport, old, new):
        activate_credential(credential=new, actor=None)
        assert outlives(transport, refusal_of(new))
        assert transport.active_credential == old
        new.refresh_from_db()
        assert new.refusal == "535 no"
        entry = AuditEntry.objects.get(verb="credential.fall_back")
        assert (entry.before, entry.after) == ({"active": "New"}, {"active": "Old"})

    def test_then_a_refusal_of_the_old_one_stops_the_transport(self, transport, old, new):
        activate_credential(credential=new, actor=None)
        outlives(transport, refusal_of(new))
        assert not outlives(transport, refusal_of(old))

    def test_one_that_worked_for_a_day_is_judged_by_itself(self, transport, old, new):
        activate_credential(credential=new, actor=None)
        Credential.objects.filter(pk=new.pk).update(
            activated_at=timezone.now() - timedelta(hours=25)
        )
        assert not outlives(transport, refusal_of(new))
        assert transport.active_credential == new

    def test_a_refusal_of_a_secret_that_was_set_anew_stops_nothing(self, transport, old):
        refusal = refusal_of(old)
        old.set_secret(Secret("again"))
        assert outlives(transport, refusal)
        assert not outlives(transport, refusal_of(old))

    def test_nor_does_it_go_back_to_another(self, transport, old, new):
        activate_credential(credential=new, actor=None)
        refusal = refusal_of(new)
        new.refresh_from_db()
        new.set_secret(Secret("again"))
        assert outlives(transport, refusal)
        assert transport.active_credential == new
        assert not transport.active_credential.refusal

    def test_the_only_one_stops_the_transport(self, transport, old):
        assert not outlives(transport, refusal_of(old))

    def test_other_faults_are_no_matter_of_credentials(self, transport, old):
        fault = SessionFault(Phase.CONNECT, "refused", "The connection was refused.")
        assert not outlives(transport, fault)

    def test_a_transport_that_was_deleted_says_so(self, transport, old):
        fault = refusal_of(old)
        gone = Transport(pk=transport.pk)
        transport.delete()
        with pytest.raises(Transport.DoesNotExist):
            outlives(gone, fault)
