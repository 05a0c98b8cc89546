"""Every address of the house, asked and told nonsense by an admin: answered always, and never with a 500."""

from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import resolve, reverse
from django.urls.converters import IntConverter

from tests.addresses import Address, addresses
from tests.examples import example, has_example
from tests.factories import make_version
from tests.wrong_input.reading_forms import PageForm, forms_of

HUGE = 10**30
NONSENSE: list[Any] = [
    "",
    "x" * 100_000,
    "a\0b",
    "-1",
    str(HUGE),
    b"\xed\xa0\x80",  # half a character in UTF-8, sent as it is
    "\U0001f600 \u202e",
    ["1", "two"],
    "no such choice",
    "9223372036854775808",
    "1e400",
    "NaN",
    "a\r\nBcc: eve@evil.example",
    "{{ 7|times:7 }}{% for",
    "%'\"\\;--",
    "9999-12-31T23:59",
    "http://[",
    '{"a": NaN, "b": "\\ud800"}',
]
QUERY = ("page", "before", "after", "since", "until", "first", "last", "range", "by", "q", "view")
HTMX = {"HX-Request": "true", "HX-Current-URL": "http://["}


def app_of(address: Address) -> str:
    return address.name.partition(":")[0]


def by_app(chosen):
    return [pytest.param(list(some), id=app) for app, some in groupby(chosen, app_of)]


ALL = addresses()
EXAMPLES = by_app(address for address in ALL if has_example(address))
NUMBERED = by_app(
    address
    for address in ALL
    if any(isinstance(converter, IntConverter) for converter in address.converters.values())
)


def page_of(address: Address) -> str:
    """Return the path of an example, with the query string that its form wants."""
    if address.name == "transports:add":
        return f"{example(address)}?preset=smtp"
    if address.name == "outbox:test-send":
        return f"{example(address)}?version={make_version().pk}"
    return example(address)


def nonsense(names, *, shift):
    """Return a value for each name; another `shift` gives each another one."""
    places = enumerate(sorted(names), shift)
    return {name: NONSENSE[place % len(NONSENSE)] for place, name in places}


def body_of(response) -> str:
    """Return the whole body, for a streamed answer may still break while it is sent."""
    return b"".join(response).decode("utf-8", "replace")


def own_forms(html: str, path: str) -> list[PageForm]:
    """Return the forms of a page itself, without the one that logs out."""
    return [form for form in forms_of(html, path) if form.action != reverse("account_logout")]


@pytest.mark.parametrize("some", EXAMPLES)
def test_any_question_and_anything_posted_is_answered(some, browser):
    seen = []
    for address in some:
        path = page_of(address)
        forms = own_forms(body_of(browser.get(path)), path)
        seen.append((address, path, forms))
        ask(browser, address, path, forms)
    tried = set()  # the same button stands on several pages
    for address, path, forms in seen:
        post(browser, address, forms, tried)
        assert browser.post(path).status_code < 500, f"{address} posted nothing"


def ask(browser, address, path, forms):
    names = {*QUERY, *(name for form in forms if not form.is_post for name in form.names)}
    for shift, headers in ((0, {}), (7, HTMX)):
        response = browser.get(path, nonsense(names, shift=shift), headers=headers)
        body_of(response)
        assert response.status_code < 500, f"{address} asked, shifted by {shift}"


def post(browser, address, forms, tried):
    for form in (form for form in forms if form.is_post):
        kind = (resolve(urlsplit(form.action).path).view_name, *sorted(form.names))
        if kind in tried:
            continue
        tried.add(kind)
        for shift in (0, 7):
            response = browser.post(form.action, nonsense(form.names, shift=shift))
            assert response.status_code < 500, f"{address} posted, shifted by {shift}"


@pytest.mark.parametrize("some", NUMBERED)
def test_no_row_has_a_number_so_large(some, browser):
    for address in some:
        parts = {
            part: HUGE if isinstance(converter, IntConverter) else "mail"
            for part, converter in address.converters.items()
        }
        for method in (browser.get, browser.post):
            assert method(address.path(**parts)).status_code in {404, 405}, address
