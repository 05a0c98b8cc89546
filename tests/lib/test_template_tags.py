import datetime as dt

import pytest
from django.apps import apps
from django.db import models
from django.template import Context, Template
from django.utils import timezone

from mailops.lib.templatetags.numbers import NBSP, count, percent, rate_of, units
from mailops.lib.templatetags.pills import PILLS, pill
from mailops.lib.templatetags.times import absolute, ago, duration, relative, relative_due

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
STATUS_FIELDS = {"status", "state", "breaker", "severity"}


def _choices() -> set[str]:
    fields = [
        field
        for model in apps.get_models()
        if model.__module__.startswith("mailops")
        for field in model._meta.get_fields()
        if isinstance(field, models.CharField) and field.choices
    ]
    return {str(value) for f in fields if f.name in STATUS_FIELDS for value, _ in f.choices}


class TestPill:
    def test_knows_every_status_of_every_model(self):
        known = set(PILLS) | {name.partition(":")[2] for name in PILLS}
        assert _choices() - known == set()

    def test_escapes_a_status_nobody_knows(self):
        assert "&lt;b&gt;" in pill("<b>")

    def test_tells_a_breaker_from_an_incident(self):
        assert "Not reachable" in pill("open", "breaker")
        assert "Open" in pill("open")


class TestAgo:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "just now"),
            (60, "1 minute ago"),
            (3600, "1 hour ago"),
            (86_400 * 3, "3 days ago"),
            (-7200, "in 2 hours"),
            (-10, "in a moment"),
        ],
    )
    def test_says_it_relative_to_now(self, seconds, words):
        assert relative(NOW - dt.timedelta(seconds=seconds), NOW) == words

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (-7200, "in 2 hours"),
            (-10, "due now"),
            (10, "due now"),
            (180, "overdue by 3 minutes"),
        ],
    )
    def test_what_should_have_happened_is_overdue(self, seconds, words):
        assert relative_due(NOW - dt.timedelta(seconds=seconds), NOW) == words

    def test_shows_the_viewers_zone_and_utc(self):
        with timezone.override("Asia/Tokyo"):
            assert absolute(NOW) == "21 Nov 2026, 21:00:00 (Asia/Tokyo) · 21 Nov, 12:00:00 UTC"

    def test_says_never_without_a_time(self):
        assert ago(None) == "never"


class TestNumbers:
    def test_says_rate_and_count_together(self):
        assert rate_of(143, 11_902) == f"1.2{NBSP}% · 143 of 11,902"

    def test_has_no_rate_of_nothing(self):
        assert rate_of(0, 0) == "— · 0 of 0"

    @pytest.mark.parametrize(
        ("part", "share"),
        [(8, "0.08 %"), (9_997, "99.97 %"), (10_000, "100 %"), (0, "0 %"), (120, "1.2 %")],
    )
    def test_is_as_exact_as_a_threshold_needs(self, part, share):
        assert percent(part, 10_000) == share.replace(" ", NBSP)

    @pytest.mark.parametrize(("part", "share"), [(1, "<0.01 %"), (999_999, ">99.99 %")])
    def test_takes_few_for_none_and_nearly_all_for_all_never(self, part, share):
        assert percent(part, 1_000_000) == share.replace(" ", NBSP)

    def test_keeps_numbers_with_their_units(self):
        said = units("5.4 % (102 of 1,894) within 1 hour; in 4 min 10 s")
        assert said == f"5.4{NBSP}% (102 of 1,894) within 1 hour; in 4{NBSP}min 10{NBSP}s"

    def test_groups_thousands(self):
        assert count(1_234_567) == "1,234,567"

    def test_says_a_duration_in_two_units(self):
        assert duration(250) == "4 min 10 s"
        assert duration(dt.timedelta(days=1, hours=2, minutes=3)) == "1 d 2 h"


class TestBase:
    @pytest.mark.django_db
    def test_renders_for_anyone_and_for_a_user(self, rf, admin):
        template = Template('{% extends "base.html" %}{% block header %}<h1>Hi</h1>{% endblock %}')
        request = rf.get("/")
        request.resolver_match = None
        request.user = admin
        assert "<h1>Hi</h1>" in template.render(Context({"request": request}))
