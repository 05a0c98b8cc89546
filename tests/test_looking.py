"""Whoever only looks changes nothing: what derives from other rows is made where those change, or by a task."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailops.accounts.permissions import Anyone
from tests.addresses import addresses
from tests.examples import example, has_example

ALL = [each for each in addresses() if each.permission is not Anyone.ANYONE and has_example(each)]
WRITES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"(?!django_session)', re.IGNORECASE)


@pytest.mark.parametrize("address", ALL, ids=str)
def test_a_page_writes_nothing(address, admin, logged_in):
    client, path = logged_in(admin), example(address)
    with CaptureQueriesContext(connection) as asked:
        client.get(path)
    assert [each["sql"] for each in asked if WRITES.match(each["sql"])] == []
