"""A form that is saved as it was shown: nothing was changed, and the audit trail doesn't say that anything was."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.digests.way import choose_way
from mailops.incidents.models import Threshold
from mailops.lib.secrets import Secret
from mailops.reports.objectives import promise
from mailops.transports.credentials import add_credential, add_grant
from mailops.transports.models import ProviderLimit, WarmUp
from tests.examples import make_mailbox, make_member, make_user
from tests.factories import (
    make_audience,
    make_campaign,
    make_channel,
    make_domain,
    make_identity,
    make_stream,
    make_transport,
    make_version,
)
from tests.wrong_input.reading_forms import forms_of

UNCHANGED = "Nothing was changed: this is what stands there already."
OTHER_BUTTONS = {"remove", "stay", "test"}


def _transport(**fields):
    return make_transport(host="mx.example.com", port=587, security="starttls", **fields)


def _scheduled():
    at = (timezone.now() + timedelta(days=1)).replace(second=0, microsecond=0)
    return make_campaign(state="scheduled", scheduled_at=at)


def _mailbox():
    mailbox = make_mailbox()
    mailbox.seal_into("password", Secret("pass"))
    mailbox.save()
    return mailbox


def _credential():
    named = {"label": "March", "username": "ada"}
    return add_credential(transport=_transport(), secret=Secret("s"), actor=None, **named)


def _grant():
    return add_grant(
        transport=_transport(),
        credential={"label": "March", "username": "ada@example.com"},
        grant={"provider": "microsoft", "client_id": "app", "tenant": "acme.example"},
        client_secret=Secret("s"),
        actor=None,
    )


def _mail_channel():
    stream = make_stream()
    identity = make_identity(domain=stream.domain)
    return make_channel(
        kind="mail", host="", recipient="ada@example.com", stream=stream, identity=identity
    )


def _promising():
    stream = make_stream()
    promise(stream=stream, percent=Decimal(99), seconds=60, actor=make_user())
    return stream


def _warm_up():
    today = timezone.now().date()
    return WarmUp.objects.create(
        transport=make_transport(), mailbox_provider="gmail", started_on=today
    )


def _hours():
    return make_stream(kind="bulk", window_from="08:00", window_to="18:00", window_days=[2])


ROWS = {
    "accounts:user": make_user,
    "audiences:edit": make_audience,
    "audiences:contact-edit": lambda: make_member().contact,
    "campaigns:edit": make_campaign,
    "campaigns:hours": make_campaign,
    "campaigns:schedule": _scheduled,
    "content:edit": lambda: make_version().template,
    "content:settings": lambda: make_version().template,
    "domains:edit": make_domain,
    "feedback:mailbox-edit": _mailbox,
    "incidents:channel": _mail_channel,
    "incidents:threshold": lambda: Threshold.objects.get(measure="bounces", subject_kind="stream"),
    "reports:objective": _promising,
    "transports:edit": _transport,
    "transports:credential-edit": _credential,
    "transports:oauth-edit": _grant,
    "transports:provider-edit": lambda: ProviderLimit.objects.create(
        mailbox_provider="yahoo", max_sessions=5
    ),
    "transports:stream-edit": lambda: make_stream(kind="bulk", transport=_transport()),
    "transports:stream-hours": _hours,
    "transports:warm-up-edit": _warm_up,
}


def save_as_shown(client, path):
    """Press save on the page at `path`, and return what that said."""
    shown = forms_of(client.get(path).text, path)
    (form, *_) = [form for form in shown if {"seen", "revision"} & set(form.names)]
    typed = {name: said for name, said in form.values.items() if said and name not in OTHER_BUTTONS}
    answer = client.post(form.action, typed)
    assert answer.status_code == 302, answer.text
    return [str(message) for message in get_messages(answer.wsgi_request)]


@pytest.fixture
def client(admin, logged_in):
    return logged_in(admin)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_not_changed_by_saving_what_stands_there(name, client):
    path = reverse(name, args=[ROWS[name]().pk])
    before = AuditEntry.objects.count()
    assert save_as_shown(client, path) == [UNCHANGED]
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("name", ["accounts:profile", "content:gates", "digests:way"])
def test_nor_is_a_choice(name, client, admin):
    stream = make_stream()
    choose_way(stream=stream, identity=make_identity(domain=stream.domain), actor=admin)
    before = AuditEntry.objects.count()
    assert save_as_shown(client, reverse(name)) == [UNCHANGED]
    assert AuditEntry.objects.count() == before


def test_what_a_credentials_app_is_known_by_is_told(client):
    grant = _grant()
    path = reverse("transports:oauth-edit", args=[grant.pk])
    (form, *_) = [form for form in forms_of(client.get(path).text, path) if "seen" in form.names]
    client.post(path, {name: said for name, said in form.values.items() if said} | {"tenant": "b"})
    entry = AuditEntry.objects.latest("pk")
    assert entry.verb == "credential.change"
    assert (entry.before["tenant"], entry.after["tenant"]) == ("acme.example", "b")
