"""What streams promise, and how much of that is left: error budgets and how fast they burn."""

from mailops.reports.models import Objective


def objective_of(stream_id: int) -> Objective | None:
    """Return what a stream promises, or None where it promises nothing."""
    return Objective.objects.filter(pk=stream_id).first()
