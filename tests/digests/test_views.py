"""The pages of the digest, and the link that switches it off."""

import re
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse

from mailops.accounts.models import AuditEntry
from mailops.digests.models import Digest, Subscription, Way
from mailops.digests.sending import send_one_now
from mailops.digests.subscribing import is_on, switch
from mailops.outbox import tokens
from mailops.outbox.models import Event, Message
from mailops.protocol import unsubscribe
from mailops.suppressions.models import Suppression
from tests.digests.conftest import NOW, count, subscribe
from tests.factories import make_identity, make_message, make_stream

pytestmark = pytest.mark.django_db
MINE, PANEL, SWITCH, SEND, PREVIEW, MAIL, WAY = (
    reverse(f"digests:{name}")
    for name in ("mine", "panel", "switch", "send", "preview", "preview-mail", "way")
)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def text_of(response):
    return b"".join(response).decode()


class TestSwitch:
    def test_is_off_until_one_presses(self, logged_in, viewer, way):
        client = logged_in(viewer)
        assert "Switch it on" in text_of(client.get(MINE))
        response = client.post(SWITCH, {"on": "1"}, follow=True)
        assert "The next one comes on" in text_of(response)
        assert is_on(viewer)
        client.post(SWITCH, {"on": "1"})
        client.post(SWITCH, {"on": "0"})
        assert not is_on(viewer)
        verbs = AuditEntry.objects.filter(verb__startswith="digest.").order_by("id")
        assert [entry.verb for entry in verbs] == ["digest.switch_on", "digest.switch_off"]

    def test_stands_on_the_profile_and_goes_back_there(self, logged_in, viewer, way):
        client = logged_in(viewer)
        assert f'hx-get="{PANEL}"' in text_of(client.get(reverse("accounts:profile")))
        fragment = text_of(client.get(PANEL, headers={"HX-Request": "true"}))
        assert "<html" not in fragment
        assert 'value="accounts:profile"' in fragment
        response = client.post(SWITCH, {"on": "1", "back": "accounts:profile"})
        assert response["Location"] == reverse("accounts:profile")

    def test_of_a_stranger_is_not_there(self, logged_in, stranger):
        client = logged_in(stranger)
        assert PANEL not in text_of(client.get(reverse("accounts:profile")))
        assert client.post(SWITCH, {"on": "1"}).status_code == 403

    @pytest.mark.parametrize("data", [{}, {"on": "2"}, {"on": "1", "back": "//evil.example"}])
    def test_does_nothing_for_nonsense(self, data, logged_in, viewer):
        assert logged_in(viewer).post(SWITCH, data)["Location"] == MINE
        assert not Subscription.objects.exists()

    def test_says_what_to_do_where_there_is_no_way(self, logged_in, viewer, admin):
        assert "An admin can choose one" in text_of(logged_in(viewer).get(PANEL))
        page = text_of(logged_in(admin).get(MINE))
        assert WAY in page
        assert SEND not in page


class TestNow:
    def test_sends_one_to_oneself(self, logged_in, viewer, way):
        client = logged_in(viewer)
        assert SEND in text_of(client.get(MINE))
        page = text_of(client.post(SEND, follow=True))
        assert f"It is on its way to {viewer.email}" in page
        assert str(Message.objects.get().public_id) in page
        assert "less than a minute ago" in text_of(client.post(SEND, follow=True))
        assert client.get(SEND).status_code == 405
        assert Message.objects.count() == 1

    def test_says_why_not(self, logged_in, viewer):
        page = text_of(logged_in(viewer).post(SEND, follow=True))
        assert "It was not sent. No stream is chosen" in page


class TestPreview:
    def test_shows_both_parts_in_any_week(self, logged_in, viewer, stream, week, time_machine):
        time_machine.move_to(NOW, tick=False)
        count(stream, "accepted", 1234, week.start)
        client = logged_in(viewer)
        page = text_of(client.get(PREVIEW))
        assert "Sent: 1,234; before: 0" in page
        assert "sandbox" in page
        assert re.search(f'<a href="{MAIL}[^"]*">Open the whole mail</a>', page)
        other = text_of(client.get(PREVIEW, {"week": f"{week.previous.start:%Y-%m-%d}"}))
        assert "1,234" not in other
        mail = client.get(MAIL, {"scheme": "dark"})
        assert "sandbox" in mail["Content-Security-Policy"]
        assert "1,234" in mail.content.decode()
        assert not Digest.objects.exists()

    def test_is_light_in_a_scheme_that_there_is_not(self, logged_in, viewer):
        page = text_of(logged_in(viewer).get(PREVIEW, {"scheme": "sepia"}))
        assert "As dark mail" in page
        assert "sepia" not in page

    @pytest.mark.parametrize("given", ["x", "2999-01-01", "1999-12-31", "0001-01-01", "9999-12-31"])
    def test_of_no_week_is_422(self, given, logged_in, viewer):
        client = logged_in(viewer)
        assert client.get(PREVIEW, {"week": given}).status_code == 422
        assert client.get(MAIL, {"week": given}).status_code == 422


class TestAdmin:
    def test_sees_who_gets_it(self, logged_in, admin, viewer, operator, way):
        subscribe(operator)
        send_one_now(operator)
        page = text_of(logged_in(admin).get(MINE))
        assert operator.email in page
        assert "Who gets it" in page
        others = text_of(logged_in(viewer).get(MINE))
        assert operator.email not in others
        assert WAY not in others

    def test_chooses_the_way(self, logged_in, admin, viewer):
        stream = make_stream()
        identity = make_identity(domain=stream.domain)
        client = logged_in(admin)
        wrong = client.post(WAY, {"stream": stream.pk, "identity": make_identity().pk})
        assert wrong.status_code == 422
        response = client.post(WAY, {"stream": stream.pk, "identity": identity.pk}, follow=True)
        assert str(stream) in text_of(response)
        assert Way.objects.get().identity == identity
        assert AuditEntry.objects.filter(verb="digest.choose_way").count() == 1
        assert logged_in(viewer).post(WAY).status_code == 403

    def test_replaces_no_way_that_was_not_seen(self, logged_in, admin):
        theirs, mine = (make_identity(domain=make_stream().domain) for _ in range(2))
        client = logged_in(admin)

        def choose(identity, seen):
            stream = identity.domain.streams.get()
            return client.post(WAY, {"stream": stream.pk, "identity": identity.pk, "seen": seen})

        seen = client.get(WAY).context["form"]["seen"].value()
        for _ in range(2):  # the same once more is no conflict
            assert choose(theirs, seen).status_code == 302
        stopped = choose(mine, seen)
        assert stopped.status_code == 422
        assert f"Last saved by {admin}, " in stopped.text
        assert ("From", str(theirs)) in stopped.context["meanwhile"].facts
        assert Way.objects.get().identity == theirs
        assert choose(mine, stopped.context["form"]["seen"].value()).status_code == 302
        assert Way.objects.get().identity == mine


@pytest.fixture
def public():
    """Return a client without cookies or token, as a mailbox provider is."""
    return Client(enforce_csrf_checks=True)


def leave_url(message):
    return "/" + tokens.unsubscribe_url(message.public_id, message.token_key_id, "digests:leave").partition("//")[2].partition("/")[2]  # fmt: skip


class TestLeaving:
    @pytest.fixture
    def message(self, way, viewer):
        switch(user=viewer, on=True)
        return send_one_now(viewer).message

    def test_to_look_changes_nothing(self, message, viewer, public):
        for method in (public.get, public.head):
            response = method(leave_url(message), ONE_CLICK)
            assert response.status_code == 200
        assert viewer.email not in text_of(public.get(leave_url(message)))
        assert is_on(viewer)

    def test_one_click_switches_it_off_and_nothing_else(self, message, viewer, public):
        for _ in range(2):
            assert text_of(public.post(leave_url(message), ONE_CLICK)) == "Unsubscribed.\n"
        assert not is_on(viewer)
        assert not Suppression.objects.exists()
        assert not Event.objects.filter(kind="unsubscribed").exists()
        entry = AuditEntry.objects.get(verb="digest.switch_off")
        assert (entry.actor, entry.reason) == (None, "By the link in a digest.")
        assert Subscription.objects.get().left_by_mail

    def test_its_link_leaves_no_stream(self, message, viewer, public):
        address = leave_url(message).replace("/digest/leave/", "/feedback/unsubscribe/")
        assert public.get(address).status_code == 404
        assert public.post(address, {"scope": "all"}).status_code == 404
        assert not Suppression.objects.exists()
        assert is_on(viewer)

    def test_one_click_may_name_another_charset(self, message, viewer, public):
        kind = "application/x-www-form-urlencoded; charset=ISO-8859-1"
        answer = public.post(leave_url(message), "List-Unsubscribe=One-Click", content_type=kind)
        assert text_of(answer) == "Unsubscribed.\n"
        assert not is_on(viewer)

    def test_one_click_is_never_redirected(self, message, viewer, public):
        answer = public.post(leave_url(message).removesuffix("/"), ONE_CLICK)
        assert text_of(answer) == "Unsubscribed.\n"
        assert not is_on(viewer)

    def test_by_the_page_says_that_it_is_off(self, message, viewer, public):
        response = public.post(leave_url(message), follow=True)
        assert "The weekly digest is off" in text_of(response)
        assert not is_on(viewer)

    def test_a_forged_token_is_nobodys(self, message, viewer, public):
        other = make_message()  # no digest, though signed by us
        whole = leave_url(message).split("/")[-2]
        forged = [
            unsubscribe.make_token(message.public_id, b"e" * 32), whole[:-1], f"{whole}a", "x", "%00",
            unsubscribe.make_token(other.public_id, tokens.signing_key(other.token_key_id)),
        ]  # fmt: skip
        for token in forged:
            path = reverse("digests:leave", args=["x"]).replace("/x/", f"/{quote(token)}/")
            assert public.post(path, ONE_CLICK).status_code == 404
        assert is_on(viewer)

    def test_shows_its_link_to_nobody_else(self, message, logged_in, admin):
        page = text_of(logged_in(admin).get(reverse("outbox:detail", args=[message.public_id])))
        assert leave_url(message).split("/")[-2] not in page
