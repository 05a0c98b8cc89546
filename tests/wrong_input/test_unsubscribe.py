"""Unsubscribe links that were forged, cut or looked at: only a signed POST changes anything."""

from urllib.parse import quote
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from mailops.outbox import tokens
from mailops.outbox.models import Event
from mailops.protocol import unsubscribe, verp
from mailops.suppressions.models import Suppression
from tests.factories import make_message

KEY = b"t" * 32


@pytest.fixture
def message(db):
    return make_message()


@pytest.fixture
def public():
    """Return a client without cookies or token, as a mailbox provider is."""
    return Client(enforce_csrf_checks=True)


def forgeries(message):
    whole = unsubscribe.make_token(message.public_id, KEY)
    public_id, _, signature = whole.partition(".")
    swapped = "b" if signature[0] == "a" else "a"
    return {
        "another key's": unsubscribe.make_token(message.public_id, b"e" * 32),
        "another message's signature": f"{uuid4().hex}.{signature}",
        "cut by one": whole[:-1],
        "longer by one": f"{whole}a",
        "one letter changed": f"{public_id}.{swapped}{signature[1:]}",
        "without signature": public_id,
        "with an empty signature": f"{public_id}.",
        "twice": f"{whole}{whole}",
        "of a return path": verp.make_token(message.public_id, 0, KEY),
        "of other letters": chr(ord(whole[0]) + 0xFEE0) + whole[1:],  # its full-width form
        "of a path": "../../etc/passwd",
    }


def at(token: str) -> str:
    return reverse("feedback:unsubscribe", args=["x"]).replace("/x/", f"/{quote(token)}/")


class TestForged:
    def test_none_changes_anything(self, message, public):
        for name, token in forgeries(message).items():
            for method in (public.get, public.post):
                response = method(at(token), {"List-Unsubscribe": "One-Click"})
                assert response.status_code == 404, name
        assert not Suppression.objects.exists()
        assert not Event.objects.exists()


class TestGenuine:
    def path(self, message):
        return tokens.unsubscribe_url(message.public_id, message.token_key_id).partition("//")[2]

    def test_looking_changes_nothing_whatever_is_asked(self, message, public):
        path = f"/{self.path(message).partition('/')[2]}"
        for query in ({}, {"List-Unsubscribe": "One-Click"}, {"scope": "all"}):
            for method in (public.get, public.head, public.options):
                assert method(path, query).status_code in {200, 405}
        for method in (public.put, public.patch, public.delete):
            assert method(path).status_code == 405
        assert not Suppression.objects.exists()
        assert not Event.objects.exists()

    @pytest.mark.parametrize("scope", ["", "stream", "nonsense", "\0", "x" * 100_000])
    def test_a_post_needs_no_cookie_and_leaves_at_least_the_stream(self, message, public, scope):
        path = f"/{self.path(message).partition('/')[2]}"
        assert public.post(path, {"scope": scope}).status_code == 302
        assert Suppression.objects.get().stream == message.stream
