"""Draws how many items of a checklist held over time."""

from typing import Any

from django.utils import timezone

from mailops.rollouts.models import Checklist

LIMIT = 200


def status_chart(checklist: Checklist) -> dict[str, Any] | None:
    """Return the chart of `checklist`, None while nothing has changed yet."""
    changes = list(checklist.changes.order_by("-at")[:LIMIT])[::-1]
    if not changes:
        return None
    points: list[list[object]] = []
    for before, change in zip([None, *changes], changes, strict=False):
        if before:  # a step: the old number stands until the moment of the new one
            points.append([change.at.isoformat(), before.holding])
        points.append([change.at.isoformat(), change.holding])
    points.append([timezone.now().isoformat(), changes[-1].holding])
    total = changes[-1].total
    return {
        "type": "line",
        "unit": "count",
        "zone": timezone.get_current_timezone_name(),
        "series": [{"name": "Items that hold", "tone": "ok", "points": points}],
        "thresholds": [{"value": total, "label": f"all {total}", "tone": "ok"}],
        "table": {
            "header": ["When", "Items that hold", "What changed"],
            "rows": [
                [
                    f"{timezone.localtime(change.at):%-d %b %Y, %H:%M}",
                    f"{change.holding} of {change.total}",
                    change.sentence,
                ]
                for change in reversed(changes)
            ],
        },
    }
