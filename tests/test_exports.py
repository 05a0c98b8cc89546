"""Exports: what a filter can't mean is refused, since everything, or nothing, would be the wrong answer."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mailops.lib import csv_export
from mailops.suppressions.suppressing import suppress
from tests.factories import make_audience, make_message, make_suppression_import

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("accounts:audit-csv", {"since": "noon"}),
        ("audiences:export", {"search": "x" * 1000}),
        ("campaigns:export", {"state": "nonsense"}),
        ("domains:export", {"status": "nonsense"}),
        ("feedback:export", {"state": "nonsense"}),
        ("incidents:export", {"state": "nonsense"}),
        ("outbox:doubtful-export", {"kind": "nonsense"}),
        ("outbox:export", {"status": "nonsense"}),
        ("reports:export", {"range": "nonsense"}),
        ("reports:export-split", {"range": "nonsense"}),
        ("signatures:export", {"stream": "nonsense"}),
        ("suppressions:export", {"reason": "nonsense"}),
        ("suppressions:import-export", {"outcome": "nonsense"}),
        ("transports:credential-export", {"state": "nonsense"}),
        ("transports:export", {"state": "nonsense"}),
        ("transports:provider-export", {"q": "x" * 1000}),
        ("transports:stream-export", {"state": "nonsense"}),
    ],
)
def test_of_a_filter_that_means_nothing_are_refused(name, query, logged_in, operator):
    arguments = []
    if name == "suppressions:import-export":
        arguments = [make_suppression_import().pk]
    elif name == "audiences:export":
        arguments = [make_audience().pk]
    response = logged_in(operator).get(reverse(name, args=arguments), query)
    assert response.status_code == 422


@pytest.mark.parametrize(
    "name", ["accounts:audit-csv", "audiences:export", "outbox:export", "suppressions:export"]
)
def test_of_large_tables_are_read_by_steps(name, logged_in, operator, monkeypatch):
    monkeypatch.setattr(csv_export, "STEP", 2)
    addresses = [f"r{n}@x.example" for n in range(5)]
    audience = make_audience(*addresses)
    for address in addresses:
        make_message(recipient=address)
        suppress(address=address, stream=None, reason="manual", actor=operator)
    response = logged_in(operator).get(
        reverse(name, args=[audience.pk] if name.startswith("aud") else [])
    )
    with CaptureQueriesContext(connection) as asked:
        text = b"".join(response.streaming_content).decode()
    assert all(text.count(address) >= 1 for address in addresses)
    assert sum("LIMIT 2" in query["sql"] for query in asked) == 3
