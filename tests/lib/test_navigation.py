"""Every page says in the navigation where one is."""

import re

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("/messages/", "Messages"),
        ("/feedback/", "Messages"),
        ("/feedback/mailboxes/", "Messages"),
        ("/reports/", "Reports"),
        ("/signatures/", "Reports"),
    ],
)
def test_one_place_is_current(logged_in, admin, address, place):
    page = logged_in(admin).get(address).content.decode()
    assert re.findall(r'aria-current="page">.*?</svg>([^<]+)</a>', page) == [place]
