"""Exports: what a filter can't mean is refused, since everything, or nothing, would be the wrong answer."""

import pytest
from django.urls import reverse

from tests.factories import make_audience, make_suppression_import

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
