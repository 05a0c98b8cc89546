"""Who may keep a page: no cache of a proxy's, and of a secret no browser's."""

from contextlib import closing

import pytest
from django.urls import reverse

from mailops.accounts.permissions import Anyone
from mailops.feedback.endpoints import make_endpoint
from tests.addresses import addresses
from tests.examples import example, has_example
from tests.factories import make_captured, make_transport

ALL = [each for each in addresses() if each.permission is not Anyone.ANYONE and has_example(each)]


def is_kept(response):
    """Tell whether a browser may write it to its disk."""
    return "no-store" not in response["Cache-Control"]


@pytest.mark.parametrize("address", ALL, ids=str)
def test_no_proxy_keeps_what_is_for_whoever_is_logged_in(address, admin, logged_in):
    response = logged_in(admin).get(example(address))
    assert "private" in response["Cache-Control"] or not is_kept(response)


def test_what_is_typed_on_a_page_is_still_there_for_whoever_goes_back(admin, logged_in):
    page = logged_in(admin).get(reverse("campaigns:add"))
    assert (
        page["Cache-Control"] == "private, no-cache"
    )  # Firefox forgets it of what it may not keep


def test_static_files_are_kept(client, db):
    with closing(client.get("/static/css/tokens.css")) as style:
        assert "private" not in style["Cache-Control"]


class TestSecrets:
    def test_of_a_link_that_sets_a_password(self, admin, viewer, logged_in):
        client, address = logged_in(admin), reverse("accounts:user", args=[viewer.pk])
        client.post(reverse("accounts:user-link", args=[viewer.pk]))
        assert not is_kept(client.get(address))
        assert is_kept(client.get(address))  # which is gone from it

    def test_of_a_webhook(self, admin, operator, logged_in):
        transport = make_transport(kind="postmark")
        make_endpoint(transport=transport, actor=admin)
        address = reverse("feedback:webhook-of", args=[transport.pk])
        assert not is_kept(logged_in(admin).get(address))
        assert is_kept(logged_in(operator).get(address))  # who doesn't see it

    @pytest.mark.parametrize("name", ["mfa_activate_totp", "mfa_index", "account_login"])
    def test_of_second_factors(self, name, admin, logged_in):
        assert not is_kept(logged_in(admin).get(reverse(name)))

    @pytest.mark.parametrize("name", ["message-html", "message-source"])
    def test_of_mail(self, name, viewer, logged_in):
        captured = make_captured(b"Subject: Your code\r\n\r\n1234\r\n")
        page = logged_in(viewer).get(reverse(f"sandbox:{name}", args=[captured.pk]))
        assert not is_kept(page)

    @pytest.mark.parametrize("name", ["accounts:audit-csv", "outbox:export"])
    def test_of_exports(self, name, viewer, logged_in):
        assert not is_kept(logged_in(viewer).get(reverse(name)))
