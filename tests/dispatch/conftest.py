"""One day, so that no midnight of UTC begins a day's number anew within a test."""

import pytest

from mailops.dispatch import limits


@pytest.fixture(autouse=True)
def _one_day(monkeypatch):
    monkeypatch.setattr(limits, "_TODAY", "DATE '2026-03-01'")
