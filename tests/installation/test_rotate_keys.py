import base64
import re
import threading

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import BinaryField

from mailops.incidents.models import NotificationChannel
from mailops.lib.sealed import reseal_row, rows_without_key, sealed_models
from mailops.lib.secrets import Secret
from mailops.transports.credentials import add_credential
from mailops.transports.models import Credential
from tests.accounts.second_factors import give_second_factor
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
    call_command("rotate_keys")
    assert "2 rows" in capsys.readouterr().out
    settings.MAILOPS_SECRET_KEYS = [NEW]
    assert Credential.objects.get().reveal().reveal() == "hush"
    assert NotificationChannel.objects.get().url() == "https://hooks.example.com/T0"


def test_a_second_run_has_nothing_to_do(stored, capsys):
    call_command("rotate_keys")
    assert "0 rows" in capsys.readouterr().out


def test_what_does_not_open_is_said_and_left_alone(stored, settings):
    before = bytes(Credential.objects.get().secret)
    settings.MAILOPS_SECRET_KEYS = [NEW]
    with pytest.raises(CommandError, match="2 could not be opened"):
        call_command("rotate_keys")
    assert bytes(Credential.objects.get().secret) == before


def test_how_many_want_a_key_that_is_not_here_is_known(stored, viewer, settings):
    give_second_factor(viewer)
    assert rows_without_key() == 0
    settings.MAILOPS_SECRET_KEYS = [NEW, OLD]
    assert rows_without_key() == 0
    settings.MAILOPS_SECRET_KEYS = [NEW]
    assert rows_without_key() == 4


def test_goes_on_where_it_was_stopped(stored, settings, monkeypatch, capsys):
    settings.MAILOPS_SECRET_KEYS = [NEW, OLD]
    with monkeypatch.context() as patch:
        patch.setattr(NotificationChannel, "reseal", interrupt)
        with pytest.raises(KeyboardInterrupt):
            call_command("rotate_keys")
    capsys.readouterr()
    call_command("rotate_keys")
    assert "1 rows" in capsys.readouterr().out


def interrupt(_channel):
    raise KeyboardInterrupt


def test_every_column_that_looks_like_a_secret_is_rotated():
    sealed = {(model, name) for model in sealed_models() for name in model.sealed_columns}
    looks = re.compile("secret|sealed|private|token$|_key$")
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, BinaryField) and looks.search(field.name):
                assert (model, field.name) in sealed, field


@pytest.mark.django_db(transaction=True)
def test_waits_for_whoever_changes_a_secret_and_keeps_the_change(stored, settings):
    """A person sets a new secret, by a process that has the old key first, while the keys are rotated."""
    settings.MAILOPS_SECRET_KEYS = [NEW, OLD]
    begun, done = threading.Event(), []

    def rotate():
        begun.set()
        done.append(reseal_row(Credential, credential.pk))
        connection.close()

    credential = Credential.objects.get()
    rotating = threading.Thread(target=rotate)
    with transaction.atomic():
        credential = Credential.objects.select_for_update().get()
        settings.MAILOPS_SECRET_KEYS = [OLD, NEW]
        credential.set_secret(Secret("newer"))
        settings.MAILOPS_SECRET_KEYS = [NEW, OLD]
        rotating.start()
        begun.wait(5)
    rotating.join(10)
    assert done == [True]
    settings.MAILOPS_SECRET_KEYS = [NEW]
    assert Credential.objects.get().reveal().reveal() == "newer"
