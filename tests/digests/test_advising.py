"""What to do first: what stands still, then what is open, broken, over, silent or new."""

from datetime import date

import pytest

from mailops.digests.advising import NOTHING, advise
from mailops.digests.telling import Reply, StreamTold, Told
from mailops.digests.weeks import week_of
from mailops.incidents.models import Incident, Threshold
from mailops.lib.time_zones import zone
from mailops.outbox.models import Signature
from mailops.reports.matter import Matter
from mailops.reports.models import Objective
from mailops.reports.objectives import Score, Standing
from mailops.reports.outcomes import Limits, Outcome
from mailops.signatures.listing import Line

WEEK = week_of(date(2026, 11, 9), zone("UTC"))
FINE = Outcome(accepted=1000)
BAD = Matter("Transport SES is paused", "Log-in refused.", "/transports/1/", "See why", "bad")
OLD = Matter("Credential A is old", "Rotate it.", "/transports/2/", "See it, and rotate it")
SPENT = Score(kept=900, whole=1000, allowed=0.01)
STEPS = {
    "matter": {"matters": [OLD, BAD]},
    "incident": {"incidents": [Incident(pk=1, threshold=Threshold(measure="bounces"), subject_label="News", sentence="6 % bounced.")]},
    "budget": {"streams": [StreamTold(1, "Orders", FINE, FINE, SPENT, Standing(Objective(), SPENT, SPENT, SPENT))]},
    "rate": {"total": Outcome(accepted=900, bounced=100)},
    "silence": {"streams": [StreamTold(2, "Letters", Outcome(), FINE)]},
    "warning": {"matters": [OLD]},
    "reply": {"replies": [Reply(Line(Signature(pk=3, code=554, pattern="blocked", fault="reputation"), 9, 0, True), True)]},
}  # fmt: skip
FIRST = {
    "matter": "Transport SES is paused: see why. It is the first of 2 things that wait for a person.",
    "incident": "The incident “Bounce rate: News” is still open, and nobody is on it: 6 % bounced.",
    "budget": "Orders has spent its error budget: see what delays its mail.",
    "rate": "10.0 % of the mail bounced, over: stop at 10 %: see whose.",
    "silence": "Letters sent nothing, after 1,000 the week before: is that meant?",
    "warning": "Credential A is old: see it, and rotate it.",
    "reply": "Servers answer what they did not before, “554 blocked”.",
}


def told(*steps):
    found = {"week": WEEK, "total": FINE, "before": FINE, "limits": Limits()}
    for step in reversed(steps):
        found |= STEPS[step]
    return Told(**found)


@pytest.mark.parametrize("step", STEPS)
def test_each_comes_before_those_that_follow(step):
    names = list(STEPS)
    below = names[names.index(step) :]
    for steps in ([step], below):
        assert advise(told(*steps), "/reports/").sentence.startswith(FIRST[step])


def test_what_recipients_are_to_blame_for_needs_nobody():
    line = Line(Signature(pk=4, code=550, pattern="no such user", fault="recipient"), 9, 0, True)
    quiet = Told(WEEK, FINE, FINE, Limits(), replies=[Reply(line, is_new=True)])
    assert advise(quiet, "/reports/") == NOTHING
