"""Each button that changes something, pressed twice: the second press is a message or nothing, never a second act."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry, User
from mailops.content.models import MailTemplate
from mailops.outbox.models import EventKind
from mailops.outbox.recording import Outcome, record
from mailops.protocol.reply import Reply
from mailops.rollouts.probing import checklists_of
from mailops.suppressions.suppressing import suppress
from tests.examples import MAKERS
from tests.factories import (
    make_audience,
    make_campaign,
    make_captured,
    make_channel,
    make_domain,
    make_incident,
    make_message,
    make_stream,
    make_transport,
)


def at(name, *args):
    return reverse(name, args=args)


def become(message, kind, **fields):
    reply = Reply(550, "5.1.1 no", "5.1.1", "RCPT")
    record(
        [
            Outcome(
                message_id=message.pk,
                kind=kind,
                source="test",
                external_id=f"{kind}-{message.pk}",
                reply=reply,
                reason="unknown_mailbox",
                **fields,
            )
        ]
    )
    return message


def paused(row):
    row.pause("person", "x")
    return row


def campaign_with(kind, state):
    campaign = make_campaign(state=state)
    become(make_message(stream=campaign.stream, campaign=campaign), kind)
    return campaign


def pause_campaign():
    return at("campaigns:pause", make_campaign(state="running").pk), {"reason": "x"}


def resume_campaign():
    campaign = make_campaign(state="paused", pause_cause="person", started_at=timezone.now())
    return at("outbox:campaign-resume", campaign.pk), {}


def cancel_campaign():
    campaign = make_campaign(state="running")
    make_message(stream=campaign.stream, campaign=campaign)
    return at("outbox:campaign-cancel", campaign.pk), {"typed_name": campaign.name}


def retry_campaign():
    campaign = campaign_with(EventKind.RETURNED, "completed")
    return at("outbox:campaign-retry", campaign.pk), {
        "status": "bounced", "until": timezone.now().isoformat(), "key": uuid4(), "counted": 1,
    }  # fmt: skip


def unschedule_campaign():
    campaign = make_campaign(state="scheduled", scheduled_at=timezone.now() + timedelta(days=1))
    return at("campaigns:unschedule", campaign.pk), {}


def delete_campaign():
    campaign = make_campaign()
    return at("campaigns:delete", campaign.pk), {"typed_name": campaign.name}


def rehearse_campaign():
    return at("campaigns:preflight", make_campaign(audience=make_audience("a@b.example")).pk), {}


def retry_message():
    message = become(make_message(), EventKind.RETURNED)
    return at("outbox:retry", message.public_id), {}


def hold_message():
    return at("outbox:hold", make_message().public_id), {}


def close_incident():
    return at("incidents:close", make_incident().pk), {"reason": "a bad list"}


def sign_item():
    item = checklists_of(make_stream())[0].items.get(number=8)
    return at("rollouts:sign", item.pk), {"note": "I looked at the page of the domain.", "days": 1}


def remove_suppression():
    entry = suppress(address="a@b.example", stream=None, reason="manual")
    return at("suppressions:remove", entry.pk), {"reason": "a mistake", "seen": entry.mark}


def publish():
    template = MailTemplate.objects.create(
        name="T", draft_subject="Hi", draft_html="<p>Hi</p>", sample={}
    )
    return at("content:publish", template.pk), {"note": "first", "nod": "on"}


def delete_of(name, make, label=str):
    def press():
        row = make()
        return at(name, row.pk), {"typed_name": label(row), "reason": "x"}

    return press


BUTTONS = {
    "campaign pause": pause_campaign,
    "campaign resume": resume_campaign,
    "campaign cancel": cancel_campaign,
    "campaign retry": retry_campaign,
    "campaign unschedule": unschedule_campaign,
    "campaign delete": delete_campaign,
    "campaign rehearse": rehearse_campaign,
    "message hold": hold_message,
    "message retry": retry_message,
    "stream pause": lambda: (at("transports:stream-pause", make_stream().pk), {"reason": "x"}),
    "stream resume": lambda: (at("transports:stream-resume", paused(make_stream()).pk), {}),
    "transport pause": lambda: (at("transports:pause", make_transport().pk), {"reason": "x"}),
    "transport resume": lambda: (at("transports:resume", paused(make_transport()).pk), {}),
    "incident acknowledge": lambda: (at("incidents:acknowledge", make_incident().pk), {}),
    "incident pause": lambda: (at("incidents:pause", make_incident().pk), {}),
    "incident close": close_incident,
    "item sign": sign_item,
    "template publish": publish,
    "template archive": lambda: (at("content:archive", MAKERS["template_id"]().pk), {}),
    "member remove": lambda: (at("audiences:member-remove", MAKERS["membership_id"]().pk), {}),
    "user deactivate": lambda: (at("accounts:user-deactivate", MAKERS["user_id"]().pk), {}),
    "suppression remove": remove_suppression,
    "domain delete": delete_of("domains:delete", make_domain),
    "transport delete": delete_of("transports:delete", make_transport),
    "stream delete": delete_of("transports:stream-delete", make_stream, lambda row: row.name),
    "audience delete": delete_of("audiences:delete", make_audience, lambda row: row.name),
    "channel delete": delete_of("incidents:channel-delete", make_channel, lambda row: row.name),
    "inbox delete": delete_of(
        "sandbox:inbox-delete", lambda: make_captured(b"x").inbox, lambda row: row.name
    ),
}


@pytest.mark.parametrize("button", BUTTONS.values(), ids=BUTTONS)
def test_the_second_press_does_nothing_more(button, browser):
    url, data = button()
    before = AuditEntry.objects.count()
    first = browser.post(url, data)
    assert first.status_code == 302, first.text
    done = AuditEntry.objects.count()
    assert done > before
    second = browser.post(url, data)
    assert second.status_code < 500
    assert AuditEntry.objects.count() == done, AuditEntry.objects.latest("id").verb


AT_ONCE = ["campaign pause", "campaign cancel", "campaign retry", "campaign delete", "message hold"]
AT_ONCE += ["incident close", "template publish", "item sign", "user deactivate", "domain delete"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", AT_ONCE)
def test_two_presses_at_once_are_one_act(name, logged_in):
    user = User.objects.create_user("admin@example.com", "x", role="admin")
    url, data = BUTTONS[name]()
    before = AuditEntry.objects.count()
    ready = Barrier(2)

    def press(client):
        ready.wait(5)
        try:
            return client.post(url, data).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(press, [logged_in(user), logged_in(user)]))
    assert max(codes) < 500
    verbs = list(AuditEntry.objects.order_by("id").values_list("verb", flat=True))[before:]
    assert len(verbs) == len(set(verbs)) >= 1
