"""What two people save at one instant, on every form with something that may be there once."""

import pytest
from django.db import IntegrityError, connection
from django.urls import reverse

from mailops.accounts import views as people
from mailops.accounts.forms import InviteForm
from mailops.accounts.meanwhile import first_come
from mailops.accounts.models import User
from mailops.content import views as content
from mailops.content.models import MailTemplate
from mailops.domains import key_views as keys
from mailops.domains import views as domains
from mailops.feedback import mailbox_views as mailboxes
from mailops.incidents import configuration_views as channels
from mailops.transports.forms.streams import StreamForm
from mailops.transports.models import ProviderLimit, Route
from mailops.transports.views import limits, streams, transports
from tests.factories import make_domain, make_stream, make_transport

pytestmark = pytest.mark.django_db

ENDPOINT = {"host": "mail.example.com", "port": "465", "security": "tls"}
GIVEN = {
    "user": {"email": "ann@example.com", "name": "Ann", "role": "viewer"},
    "template": {"name": "Spring", "kind": "mail", "start": "letter"},
    "key": {"algorithm": "rsa", "selector": "mo1"},
    "domain": {"name": "news.example.com"},
    "mailbox": {
        **ENDPOINT,
        "name": "Bounces",
        "username": "bounces@example.com",
        "password": "typed-once",
        "folder": "INBOX",
        "then": "flag",
    },
    "channel": {
        "name": "chat",
        "least_level": "act",
        "url": "https://hooks.example.com/T0",
        "is_enabled": "on",
    },
    "limit": {"mailbox_provider": "Gmail", "max_sessions": "5"},
    "ramp": {
        "mailbox_provider": "Gmail",
        "started_on": "2026-01-01",
        "first_day": "50",
        "growth_percent": "50",
        "full_volume": "5000",
    },
    "transport": {
        **ENDPOINT,
        "name": "Relay",
        "environment": "production",
        "max_sessions": "2",
        "messages_per_session": "100",
    },
    "stream": {
        "name": "News",
        "kind": "bulk",
        "guarantee": "leave",
        "backoff": "1 min, 5 min",
        "expiry": "72 h",
        "environment": "production",
        "routing": "order",
    },
}


# the views of each form, its address, and which of its arguments a row has to be made for
PLACES = {
    "user": (people, "accounts:user-new", None),
    "template": (content, "content:new", None),
    "key": (keys, "domains:key-make", make_domain),
    "domain": (domains, "domains:add", None),
    "mailbox": (mailboxes, "feedback:mailbox-add", None),
    "channel": (channels, "incidents:channel-add", None),
    "limit": (limits, "transports:provider-add", None),
    "ramp": (limits, "transports:warm-up-add", make_transport),
    "transport": (transports, "transports:add", None),
    "stream": (streams, "transports:stream-add", None),
}


def form_of(what):
    """Return the views of a form, its address, and what is typed there."""
    views, name, make = PLACES[what]
    args = ["webhook"] if what == "channel" else [make().pk] if make else []
    query = "?preset=smtp" if what == "transport" else ""
    ways = {"domain": make_domain().pk, "first_transport": make_transport().pk}
    given = GIVEN[what] | (ways if what == "stream" else {})
    return views, reverse(name, args=args) + query, given


@pytest.fixture
def press_second(monkeypatch):
    """Return a function that sends a form, which is valid, after somebody else has sent it, or done `instead`."""

    def press(client, views, url, given, instead=None):
        def come_second(form):
            monkeypatch.setattr(views, "first_come", first_come)
            if instead:
                instead()
            else:
                assert client.post(url, given).status_code == 302
            return first_come(form)

        monkeypatch.setattr(views, "first_come", come_second)
        return client.post(url, given)

    return press


class TestTheSecondOfTwo:
    @pytest.mark.parametrize("what", GIVEN)
    def test_hears_of_the_first_and_keeps_what_was_typed(
        self, admin, logged_in, monkeypatch, press_second, what
    ):
        monkeypatch.setattr(domains, "check_domain", lambda _: None)
        views, url, given = form_of(what)
        answer = press_second(logged_in(admin), views, url, given)
        assert answer.status_code == 422
        (error,) = next(iter(answer.context["form"].errors.values()))
        assert "already" in error or "choose another" in error
        assert next(iter(given.values())) in answer.text

    def test_gets_no_name_that_is_taken_while_an_edit_is_saved(
        self, admin, logged_in, press_second
    ):
        client = logged_in(admin)
        template = MailTemplate.objects.create(name="Summer")
        for views, url, given, take in (
            (
                content,
                reverse("content:settings", args=[template.pk]),
                {"name": "Spring", "syntax": "html"},
                lambda: MailTemplate.objects.create(name="Spring"),
            ),
            (
                streams,
                reverse("transports:stream-edit", args=[make_stream().pk]),
                form_of("stream")[2],
                lambda: make_stream(name="News"),
            ),
            (
                transports,
                reverse("transports:edit", args=[make_transport(host="mail.example.com").pk]),
                GIVEN["transport"],
                lambda: make_transport(name="Relay"),
            ),
        ):
            answer = press_second(client, views, url, given, instead=take)
            assert answer.status_code == 422
            assert list(answer.context["form"].errors) == ["name"]


class TestFirstCome:
    def test_says_so_where_the_form_finds_nothing_wrong_any_more(self, viewer):
        form = InviteForm({"email": "ann@example.com", "name": "Ann", "role": "viewer"})
        assert form.is_valid()
        with first_come(form):
            User.objects.create(email=viewer.email)
        assert "Save it again" in form.non_field_errors()[0]

    def test_tells_of_what_is_chosen_and_gone(self):
        stream = make_stream()
        form = StreamForm(form_of("stream")[2], instance=stream)
        assert form.is_valid()
        gone = form.transports[0].pk
        form.transports[0].delete()
        with first_come(form):
            Route.objects.filter(stream=stream).update(transport_id=gone)
            connection.check_constraints()
        assert list(form.errors) == ["first_transport"]

    def test_hides_no_fault_of_mailops(self):
        form = InviteForm({"email": "ann@example.com", "name": "Ann", "role": "viewer"})
        with pytest.raises(IntegrityError), first_come(form):
            ProviderLimit.objects.create(mailbox_provider=None)
