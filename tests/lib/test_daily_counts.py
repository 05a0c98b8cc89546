"""Counts are kept for a day, and no number of strangers takes more memory."""

from mailops.lib.daily_counts import DAY, DailyCounts


def test_each_is_counted_for_a_day():
    now = [5.0]
    counts = DailyCounts(clock=lambda: now[0])
    counts.add("one", 2)
    counts.add("one", 1)
    assert counts.of("one") == 3
    now[0] += DAY - 1
    assert counts.of("one") == 3
    now[0] += 1
    assert counts.of("one") == 0


def test_any_number_finds_a_place():
    counts = DailyCounts(places=2)
    for number in range(10):
        counts.add(number, 1)
    assert (counts.of(0), counts.of(1)) == (5, 5)
