"""Charts as the browser is told to draw them: what their axes, legends and thresholds say."""

import json
import subprocess

import pytest
from django.conf import settings

SOURCES = settings.BASE_DIR / "static" / "src" / "charts"
COLORS = {"series": ["blue"], "bad": "red", "warn": "brown", "surface": "white"}
STEPS = ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"]

pytestmark = pytest.mark.needs("node")


def run(module, expression):
    script = f"""
        import * as module from "{SOURCES.as_uri()}/{module}.js";
        console.log(JSON.stringify({expression}));
    """
    command = ["node", "--input-type=module", "--eval", script]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def chart(*series, values=(1, 2), **more):
    points = [list(pair) for pair in zip(STEPS, values, strict=True)]
    found = {"type": "line", "unit": "percent", "zone": "UTC", **more}
    return {**found, "series": [{"name": name, "points": points} for name in series]}


def drawn(data, *, width=600, height=260):
    size = {"label": "", "width": width, "height": height}
    given = ", ".join(json.dumps(one) for one in (data, COLORS, size))
    return run("option", f"module.option({given})")


class TestAxis:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "0 s"), (0.25, "250 ms"), (40, "40 s"), (60, "1 min"), (80, "1 min 20 s"), (119.7, "2 min"),
            (3599.8, "1 h"), (5400, "1 h 30 min"), (86400, "1 d"), (604800, "7 d"),
        ],
    )  # fmt: skip
    def test_says_times_in_their_two_largest_units(self, seconds, words):
        assert run("words", f"module.axisLabel({seconds}, 'seconds')") == words

    @pytest.mark.parametrize(
        ("longest", "interval", "end"),
        [(4, 1, 4), (40, 10, 40), (110, 30, 120), (400, 120, 480), (9000, 1800, 9000)],
    )
    def test_of_times_has_even_steps(self, longest, interval, end):
        axis = drawn(chart("Oldest", values=(0, longest), unit="seconds"))["yAxis"]
        assert (axis["interval"], axis["max"]) == (interval, end)

    def test_has_fewer_marks_where_it_is_low(self):
        low, high = (drawn(chart("Sent"), height=height)["yAxis"] for height in (80, 260))
        assert (low["splitNumber"], high["splitNumber"]) == (2, 5)


class TestLegend:
    NAMES = ("Accepted", "Bounced", "Failed", "Expired", "Uncertain", "The period before")

    def test_takes_the_rows_that_its_names_need(self):
        wide, narrow = (drawn(chart(*self.NAMES), width=width) for width in (1100, 300))
        assert wide["legend"]["type"] == "plain"
        assert wide["legend"]["data"] == list(self.NAMES)
        assert narrow["grid"]["top"] > wide["grid"]["top"]

    def test_explains_the_field_of_an_incident(self):
        span = {"from": STEPS[0], "to": STEPS[1], "label": "Incident: bounces", "tone": "bad"}
        found = drawn(chart("Bounced", spans=[span]))
        assert found["legend"]["show"]
        assert found["legend"]["data"][-1]["name"] == "Incident"
        assert found["series"][-1]["itemStyle"]["color"] == COLORS["bad"]
        assert not drawn(chart("Bounced"))["legend"]["show"]

    def test_switches_fields_by_their_own_names_and_nothing_else_with_a_line(self):
        span = {"from": STEPS[0], "to": STEPS[1], "label": "Incident: bounces", "tone": "warn"}
        limit = {"value": 5, "label": "Guideline", "tone": "bad"}
        found = drawn(chart("Bounced", spans=[span], thresholds=[limit]))["series"]
        line, _, guideline, field = found
        assert line.keys().isdisjoint({"markArea", "markLine", "markPoint"})
        assert guideline["name"] == "Guideline"
        assert [one["yAxis"] for one in guideline["markLine"]["data"]] == [5]
        assert field["name"] == "Incident, warning"
        assert [area[0]["name"] for area in field["markArea"]["data"]] == ["Incident: bounces"]


class TestThresholds:
    @pytest.mark.parametrize("width", [310, 600, 1100])
    @pytest.mark.parametrize("highest", [3, 6, 60])
    def test_are_named_above_the_chart_and_lie_over_no_numbers(self, width, highest):
        limits = [{"value": n, "label": f"act at {n} %"} for n in (2, 5)]
        found = drawn(chart("Bounced", values=(1, highest), thresholds=limits), width=width)
        assert found["legend"]["show"]
        assert [one["name"] for one in found["legend"]["data"][1:]] == ["act at 2 %", "act at 5 %"]
        named = {one["name"]: one for one in found["series"]}
        for limit in limits:
            (line,) = named[limit["label"]]["markLine"]["data"]
            assert line["yAxis"] == limit["value"]
            assert not line["label"]["show"]
