"""Every address of the house, for every role: who is let in, who is sent away, and how each page looks to a browser."""

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
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


# of no download, and of no foreign HTML, which stands in a sandbox where no script may run
OUR_BODY = b"<body hx-headers"


def _named(address: Address) -> str:
    return address.name


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
                assert _is_refused(rf.post(address.path()), role)

    @pytest.mark.parametrize("address", BY_ROLE, ids=_named)
    def test_asks_for_a_known_act(self, address):
        to_see, to_change = address.permission
        assert isinstance(to_see, Act)
        assert to_change is None or isinstance(to_change, Act)

    @pytest.mark.parametrize("address", LOOKED_AT, ids=_named)
    def test_never_breaks_for_an_admin(self, address, admin, logged_in):
        client, path = logged_in(admin), example(address)
        assert client.get(path).status_code < 500
        nonsense = {"page": "x", "q": "\x00'\"<script>", "before": "-1", "since": "31 June"}
        assert client.get(path, nonsense).status_code < 500


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
