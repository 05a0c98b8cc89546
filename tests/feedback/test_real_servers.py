"""Bounces as Postfix, Exim and OpenSMTPD write them today, for each phase a message can be refused in."""

import contextlib
import smtplib

import pytest

from mailops.protocol.feedback_mail import describe, read
from tests.mail_servers import Exim, OpenSmtpd
from tests.postfix import Postfix
from tests.smtp_server import DROP, SmtpServer
from tests.waiting import wait_until

SENDER = "news@sender.example"
MAIL = "From: {0}\r\nTo: user@{1}\r\nMessage-ID: <{1}@sender.example>\r\nSubject: Hello\r\n\r\nHello\r\n"
SCRIPTS = {
    "gone.example": {"RCPT": "550 5.1.1 <user@gone.example>: User unknown"},
    "full.example": {"RCPT": "552 5.2.2 The mailbox is over quota"},
    "bare.example": {"RCPT": "550 No such user"},
    "relay.example": {"RCPT": "554 5.7.1 Relay access denied"},
    "listed.example": {"MAIL": "550 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org"},
    "spam.example": {".": "554 5.7.1 Message rejected as spam"},
    "big.example": {".": "552 5.3.4 Message size exceeds fixed limit"},
}
# recipient's domain → status, reason, suppress
EXPECTED = {
    "gone.example": ("5.1.1", "unknown_mailbox", True),
    "full.example": ("5.2.2", "mailbox_full", False),
    "bare.example": (None, "unknown_mailbox", True),  # each server says a status of its own
    "relay.example": ("5.7.1", "relaying_denied", False),
    "listed.example": ("5.7.1", "blocklisted", False),
    "spam.example": ("5.7.1", "content_refused", False),
    "big.example": ("5.3.4", "too_big", False),
}


pytestmark = pytest.mark.broad


@pytest.fixture(scope="module")
def far():
    """A server for each way to refuse, and one that the bounces come home to."""
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(SmtpServer(script=script)) for name, script in SCRIPTS.items()}  # fmt: skip
        servers["drop.example"] = stack.enter_context(SmtpServer(script={"RCPT": DROP}))
        servers["good.example"] = stack.enter_context(SmtpServer())
        yield {name: server.port for name, server in servers.items()}


def came_home(home, times):
    """Return what each mail that came back says, by the domain it is about."""
    wait_until(lambda: len(home.messages) >= times, seconds=90, what=f"{times} mails to come home")
    found = [describe(read(content)) for content in home.messages]
    return {one["recipients"][0]["recipient"].partition("@")[2]: one for one in found}


def send(port, *domains, options=()):
    with smtplib.SMTP("127.0.0.1", port) as client:
        for name in domains:
            content = MAIL.format(SENDER, name).encode()
            client.sendmail(SENDER, [f"user@{name}"], content, rcpt_options=options)


def said(found, name):
    one = found[name]
    (recipient,) = one["recipients"]
    assert recipient["recipient"] == f"user@{name}"
    assert one["original_message_id"] == f"<{name}@sender.example>"
    return one["type"], recipient


def check_refusals(found):
    for name, (status, reason, suppress) in EXPECTED.items():
        kind, recipient = said(found, name)
        assert (kind, recipient["action"]) == ("bounce", "failed"), name
        assert (recipient["reason"], recipient["suppress"]) == (reason, suppress), recipient
        assert recipient["permanent"]
        assert status in {None, recipient["enhanced_status"]}, recipient


@pytest.mark.needs("postfix")
def test_postfix(far):
    with SmtpServer() as home:
        routes = " ".join(f"{{{name}=smtp:[127.0.0.1]:{port}}}," for name, port in far.items())
        closed = "{closed.example=smtp:[127.0.0.1]:1}"
        options = {
            "transport_maps": f"inline:{{ {routes} {closed} }}",
            "maximal_queue_lifetime": "0",
            "bounce_queue_lifetime": "0",
        }
        with Postfix(home.port, **options) as relay:
            send(relay.port, *SCRIPTS, "drop.example", "closed.example")
            send(relay.port, "good.example", options=("NOTIFY=SUCCESS",))
            found = came_home(home, len(SCRIPTS) + 3)
    check_refusals(found)
    for name in ("closed.example", "drop.example"):
        kind, recipient = said(found, name)
        assert (kind, recipient["reason"]) == ("bounce", "unreachable")
        assert not recipient["permanent"]
        assert not recipient["suppress"]
    kind, recipient = said(found, "good.example")
    assert (kind, recipient["action"], recipient["suppress"]) == ("delivered", "relayed", False)


@pytest.mark.needs("exim4")
def test_exim(far):
    with SmtpServer() as home:
        routes = {**far, "sender.example": home.port, "closed.example": 1}
        with Exim(routes) as relay:
            for name in (*SCRIPTS, "here.example", "closed.example", "nowhere.example"):
                relay.send(SENDER, f"user@{name}", MAIL.format(SENDER, name).encode())
            found = came_home(home, len(SCRIPTS) + 3)
    check_refusals(found)
    assert said(found, "here.example")[1]["reason"] == "unknown_mailbox"
    assert said(found, "here.example")[1]["suppress"]
    assert said(found, "nowhere.example")[1]["reason"] == "unknown_domain"
    assert said(found, "closed.example")[1]["reason"] == "gave_up"
    assert not said(found, "closed.example")[1]["suppress"]


@pytest.mark.needs("smtpctl")
def test_opensmtpd(far):
    with SmtpServer() as home, OpenSmtpd({**far, "sender.example": home.port}) as relay:
        send(relay.port, *SCRIPTS)
        found = came_home(home, len(SCRIPTS))
    check_refusals(found)
