"""Every address of the house, for every role: who is let in, who is sent away, and how each page looks to a browser."""

from contextlib import closing

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve, reverse

from mailops.accounts.models import Role, User
from mailops.accounts.permissions import MATRIX, Act, Anyone
from tests.addresses import Address, addresses
from tests.browser import assert_clean, go_on_to
from tests.examples import example, has_example

ALL = addresses()
GUARDED = [address for address in ALL if address.permission is not Anyone.ANYONE]
BY_ROLE = [address for address in GUARDED if address.permission is not Anyone.USER]
LOOKED_AT = [address for address in GUARDED if has_example(address)]
# by the handful: a browser's window and an empty database for each page would take half of the suite's time
A_FEW_EACH = [
    pytest.param(LOOKED_AT[at : at + 6], id=LOOKED_AT[at].name)
    for at in range(0, len(LOOKED_AT), 6)
]


# what a browser is told of every answer
GUARDS = {
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Cache-Control",
}
# of no download, and of no foreign HTML, which stands in a sandbox where no script may run
OUR_BODY = b"<body hx-headers"


def _named(address: Address) -> str:
    return address.name


def _unguarded(response: HttpResponseBase) -> set[str]:
    return {name for name in GUARDS if not response.has_header(name)}


def _is_refused(request: HttpRequest, role: str) -> bool:
    """Tell whether the address turns the role away; its view is called as the handler would, without a session."""
    request.user = User(email="somebody@example.org", role=role)
    match = resolve(request.path)
    try:
        return bool(match.func(request, *match.args, **match.kwargs).status_code == 405)
    except PermissionDenied:
        return True


class TestEveryAddress:
    def test_there_are_some(self):
        assert len(ALL) > 10

    @pytest.mark.parametrize("address", GUARDED, ids=_named)
    def test_sends_the_anonymous_to_log_in(self, address, client, db):
        response = client.get(address.path())
        if response.status_code != 405:
            assert response["Location"].startswith("/accounts/login/?next=")
        response = client.post(address.path())
        if response.status_code != 405:
            assert response.status_code == 401
            assert "/accounts/login/" in response.text

    @pytest.mark.parametrize("address", BY_ROLE, ids=_named)
    def test_refuses_the_wrong_roles(self, address, rf):
        to_see, to_change = address.permission
        for role in Role:
            if to_see not in MATRIX[role]:
                assert _is_refused(rf.get(address.path()), role)
            if (to_change or to_see) not in MATRIX[role]:
                for method in (rf.post, rf.put, rf.patch, rf.delete):
                    assert _is_refused(method(address.path()), role)

    @pytest.mark.parametrize("address", BY_ROLE, ids=_named)
    def test_asks_for_a_known_act(self, address):
        to_see, to_change = address.permission
        assert isinstance(to_see, Act)
        assert to_change is None or isinstance(to_change, Act)

    @pytest.mark.parametrize("address", LOOKED_AT, ids=_named)
    def test_never_breaks_for_an_admin(self, address, admin, logged_in):
        client, path = logged_in(admin), example(address)
        page = client.get(path)
        assert page.status_code < 500
        assert _unguarded(page) == set()
        nonsense = {"page": "x", "q": "\x00'\"<script>", "before": "-1", "since": "31 June"}
        assert client.get(path, nonsense).status_code < 500


class TestGuards:
    """What is answered before any view was asked carries the same headers."""

    @pytest.mark.parametrize("path", ["/", "/no/such/page/", "/healthz/", "/static/favicon.svg"])
    def test_stand_on_what_strangers_get(self, path, client, db):
        with closing(client.get(path)) as answer:
            assert _unguarded(answer) == set()

    def test_stand_on_refusals(self, admin, logged_in, settings):
        client = logged_in(admin)
        client.handler.enforce_csrf_checks = True
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        answers = {
            "a NUL": client.get("/domains/\0/"),
            "a wrong host": client.get("/", headers={"Host": "evil.example"}),
            "a button's address": client.get(reverse("accounts:log-out-elsewhere")),
            "a form without its token": client.post(reverse("campaigns:add")),
            "a form in another charset": client.generic("POST", "/", b"a", "a/b; charset=hex"),
            "too much": client.post(reverse("campaigns:add"), {"name": "x" * 2000}),
        }
        assert {name: answer.status_code for name, answer in answers.items()} == {
            "a NUL": 404,
            "a wrong host": 400,
            "a button's address": 405,
            "a form without its token": 403,
            "a form in another charset": 400,
            "too much": 413,
        }
        assert {name for name, answer in answers.items() if _unguarded(answer)} == set()


def test_pages_are_known_by_their_body(admin, logged_in):
    assert OUR_BODY in logged_in(admin).get(reverse("reports:overview")).content


@pytest.mark.broad
@pytest.mark.needs("chromium")
class TestInTheBrowser:
    @pytest.mark.parametrize("some", A_FEW_EACH)
    def test_they_are_clean(self, some, open_page, admin, logged_in):
        client, page = logged_in(admin), None
        for path in map(example, some):
            response = client.get(path)
            if response.status_code == 200 and OUR_BODY in b"".join(response):
                if page is None:
                    page = open_page(path, admin)
                else:
                    go_on_to(page, path)
                assert_clean(page)
