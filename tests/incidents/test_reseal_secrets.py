import base64

import pytest
from django.core.management import CommandError, call_command

from mailops.incidents.models import NotificationChannel
from mailops.lib.secrets import Secret
from mailops.transports.credentials import add_credential
from mailops.transports.models import Credential
from tests.factories import make_transport

pytestmark = pytest.mark.django_db
OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


@pytest.fixture
def stored(settings):
    settings.MAILOPS_SECRET_KEYS = [OLD]
    add_credential(
        transport=make_transport(), label="x", username="u", secret=Secret("hush"), actor=None
    )
    channel = NotificationChannel.objects.create(name="chat", kind="webhook")
    channel.set_url("https://hooks.example.com/T0", "hooks.example.com")
    channel.save()


def test_the_old_key_is_no_longer_needed(stored, settings, capsys):
    settings.MAILOPS_SECRET_KEYS = [NEW, OLD]
    call_command("reseal_secrets")
    assert "2 secrets" in capsys.readouterr().out
    settings.MAILOPS_SECRET_KEYS = [NEW]
    assert Credential.objects.get().reveal().reveal() == "hush"
    assert NotificationChannel.objects.get().url() == "https://hooks.example.com/T0"


def test_a_second_run_has_nothing_to_do(stored, capsys):
    call_command("reseal_secrets")
    assert "0 secrets" in capsys.readouterr().out


def test_what_does_not_open_is_said_and_left_alone(stored, settings):
    before = bytes(Credential.objects.get().secret)
    settings.MAILOPS_SECRET_KEYS = [NEW]
    with pytest.raises(CommandError, match="2 could not be opened"):
        call_command("reseal_secrets")
    assert bytes(Credential.objects.get().secret) == before
