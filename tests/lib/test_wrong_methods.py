"""What a person sees at an address that only a button calls."""

import pytest
from django.urls import reverse

from mailops.lib.wrong_methods import _above
from tests.factories import make_message

pytestmark = pytest.mark.django_db


def test_a_reload_of_a_press_says_that_nothing_was_changed_and_leads_to_the_button(
    oncall, logged_in
):
    message = make_message(status="uncertain")
    address = reverse("outbox:settle", args=[message.public_id])
    response = logged_in(oncall).get(address)
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    page = response.content.decode()
    assert "Nothing was changed" in page
    assert f'href="{reverse("outbox:detail", args=[message.public_id])}"' in page
    message.refresh_from_db()
    assert message.status == "uncertain"


def test_strangers_and_programs_get_the_bare_answer(client, oncall, logged_in):
    address = reverse("outbox:settle", args=[make_message().public_id])
    assert client.get(address).content == b""
    assert logged_in(oncall).put(address).content == b""


@pytest.mark.parametrize(
    ("path", "above"),
    [
        ("/messages/uncertain/settle/", "/messages/uncertain/"),
        ("/nothing/like/this/", "/"),
        ("/", "/"),
    ],
)
def test_above_is_the_nearest_address_at_which_there_is_something(path, above):
    assert _above(path) == above
