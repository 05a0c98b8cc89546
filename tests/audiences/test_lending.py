"""Contacts that the template editor borrows."""

import pytest

from mailops.audiences.lending import Lender
from mailops.audiences.models import Contact


@pytest.mark.django_db
@pytest.mark.parametrize("asked", ["Ada@Bücher.example", " ada@xn--bcher-kva.example "])
def test_finds_a_person_however_the_address_is_written(asked):
    Contact.objects.create(
        address="Ada@Bücher.example",
        address_key="ada@xn--bcher-kva.example",
        attributes={"first_name": "Ada"},
    )
    found = Lender().person(asked)
    assert found is not None
    assert found.data == {"first_name": "Ada"}


@pytest.mark.django_db
def test_finds_nobody_by_what_is_no_address():
    assert Lender().person("Ada") is None
