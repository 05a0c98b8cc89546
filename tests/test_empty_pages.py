"""Pages that hold nothing yet: each says what comes, and asks of nobody what their role may not do."""

import re

import pytest
from django.urls import reverse

from mailops.content.models import MailTemplate
from tests.factories import make_audience, make_domain

FILLED_BY_OTHERS = {
    "audiences:list": "An operator can make one",
    "campaigns:list": "An operator can make one",
    "content:list": "An editor or an operator can write one.",
    "domains:list": "An admin adds",
    "feedback:mailboxes": "An admin can add",
    "incidents:channels": "An admin can add",
    "incidents:list": "See who is told",
    "rollouts:list": "as soon as an admin adds one",
    "transports:credentials": "An admin gives each transport",
    "transports:list": "An admin adds",
    "transports:providers": "An admin says here",
    "transports:streams": "An admin says here",
}


def _make_draft() -> MailTemplate:
    return MailTemplate.objects.create(name="Letter")


def _empty(page: str) -> str:
    return page[page.index('<div class="empty">') :].partition("</div>")[0]


@pytest.mark.parametrize(("name", "words"), FILLED_BY_OTHERS.items())
def test_tells_a_viewer_who_fills_it(name, words, viewer, admin, logged_in):
    assert words in _empty(logged_in(viewer).get(reverse(name)).text)
    assert words not in _empty(logged_in(admin).get(reverse(name)).text)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("audiences:detail", make_audience, "An operator can import"),
        ("content:detail", _make_draft, "An editor or an operator can publish"),
        ("domains:keys", make_domain, "An admin can make a key"),
    ],
)
def test_tells_a_viewer_who_fills_one_of_them(name, make, words, viewer, logged_in):
    assert words in _empty(logged_in(viewer).get(reverse(name, args=[make().pk])).text)


def test_gates_lead_to_the_streams_that_would_require_them(viewer, logged_in):
    links = re.findall(
        r'<a [^>]*href="([^"]+)"', _empty(logged_in(viewer).get(reverse("content:gates")).text)
    )
    assert links == [reverse("transports:streams")]
