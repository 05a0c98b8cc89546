"""A credential that is changed while its transport is, and what a change of it means for what logged in with it."""

import pytest
from django.utils import timezone

from mailops.lib.secrets import Secret
from mailops.transports.configuring import change_transport
from mailops.transports.credentials import add_credential, change_credential
from mailops.transports.models import Credential, Transport
from mailops.transports.rotation import activate_credential
from tests.factories import make_transport

pytestmark = pytest.mark.django_db


@pytest.fixture
def transport():
    return make_transport()


@pytest.fixture
def old(transport):
    return added(transport, "Old")


def added(transport, label):
    return add_credential(
        transport=transport, label=label, username="u", secret=Secret(label), actor=None
    )


def as_loaded(credential):
    """Return it as a view has it in hand, with its transport, while others go on."""
    return Credential.objects.select_related("transport").get(pk=credential.pk)


def change(credential, **changed):
    given = {"label": credential.label, "username": credential.username, **changed}
    change_credential(credential=credential, actor=None, **given)


class TestBesideOthers:
    def test_a_rotation_to_it_stands(self, transport, old):
        new = added(transport, "New")
        in_hand = as_loaded(new)
        activate_credential(credential=new, actor=None)
        change(in_hand, secret=Secret("again"))
        assert transport.active_credential == new
        assert transport.active_credential.replaces == old

    def test_a_rotation_from_it_stands(self, transport, old):
        in_hand = as_loaded(old)
        new = added(transport, "New")
        activate_credential(credential=new, actor=None)
        change(in_hand, secret=Secret("again"))
        assert transport.active_credential == new

    def test_its_secret_opens_where_the_transport_is_by_now(self, transport, old):
        in_hand = as_loaded(old)
        moved = Transport.objects.get()
        moved.host = "elsewhere.example"
        change_transport(transport=moved, secret=None, actor=None)
        change(in_hand, secret=Secret("again"))
        assert as_loaded(old).reveal().reveal() == "again"

    def test_one_that_is_gone_says_so(self, old):
        in_hand = as_loaded(old)
        old.delete()
        with pytest.raises(Credential.DoesNotExist):
            change(in_hand, username="v")


class TestUserName:
    @pytest.mark.parametrize(
        ("changed", "is_another"),
        [({"username": "v"}, True), ({"secret": Secret("x")}, True), ({"label": "Older"}, False)],
        ids=["user name", "secret", "label"],
    )
    def test_makes_another_log_in_as_a_secret_does(self, old, changed, is_another):
        before = old.login_id
        change(old, **changed)
        assert (as_loaded(old).login_id != before) is is_another

    def test_is_not_what_was_tested_and_refused(self, old):
        said = {"last_test": {"is_ok": False}, "refusal": "535 no"}
        now = timezone.now()
        Credential.objects.update(**said, last_tested_at=now, refused_at=now)
        change(as_loaded(old), label="Older")
        assert as_loaded(old).refusal == "535 no"
        change(as_loaded(old), username="v")
        changed = as_loaded(old)
        assert changed.last_test == {}
        assert not changed.was_tested
        assert not changed.refused_at
        assert changed.reveal().reveal() == "Old"
