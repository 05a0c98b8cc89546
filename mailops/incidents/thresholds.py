"""The thresholds an installation begins with, each with its reason."""

from typing import Any

from django.db import connections

from mailops.incidents.models import SubjectKind, Threshold

_RATE = {"window_minutes": 60, "sample_floor": 100, "warn": 2, "act": 5, "stop": 10}
_SEEN_FIRST = "Off, since the streams' own threshold sees the same bounces first."

DEFAULTS: dict[tuple[Threshold.Measure, SubjectKind], dict[str, Any]] = {
    (Threshold.Measure.BOUNCES, SubjectKind.STREAM): {
        **_RATE,
        "pauses": True,
        "why": (
            "Mailbox providers read many unknown recipients as a bought list: above 2 % look, at 5 % act, "
            "at 10 % stop before the domain's name suffers. Under 100 messages one bad address decides."
        ),
    },
    (Threshold.Measure.COMPLAINTS, SubjectKind.STREAM): {
        "window_minutes": 1440,
        "sample_floor": 1000,
        "warn": "0.08",
        "act": "0.1",
        "stop": "0.3",
        "pauses": True,
        "why": (
            "Gmail and Yahoo ask for less than 0.1 % and never 0.3 %. Complaints come hours later, so the "
            "window is a day; under 1,000 messages one complaint is above the limit."
        ),
    },
    (Threshold.Measure.BOUNCES, SubjectKind.TRANSPORT): {
        **_RATE,
        "is_enabled": False,
        "why": f"For transports that several streams share. {_SEEN_FIRST}",
    },
    (Threshold.Measure.BOUNCES, SubjectKind.CAMPAIGN): {
        **_RATE,
        "window_minutes": 1440,
        "is_enabled": False,
        "why": f"For streams whose campaigns differ much. {_SEEN_FIRST}",
    },
    (Threshold.Measure.FAULT, SubjectKind.TRANSPORT): {
        "why": (
            "A refused log-in, a policy or a quota stops all mail of a transport: no rate is needed to know."
        ),
    },
    (Threshold.Measure.FAULT, SubjectKind.STREAM): {
        "why": (
            "Refusals to one recipient after another, a key that can't be opened or a domain whose grace is over stop a "
            "stream while its transports run on."
        ),
    },
    (Threshold.Measure.FAULT, SubjectKind.CAMPAIGN): {
        "why": (
            "A refusal, a restore, or a start that was missed or not allowed leaves a campaign waiting for a person, and "
            "those who planned it may believe that it was sent."
        ),
    },
    (Threshold.Measure.BURN, SubjectKind.STREAM): {
        "sample_floor": 20,
        "why": (
            "Of streams that promise something. 14.4 times too fast over an hour spends 2 % of the budget of 28 days: "
            "act; 6 times over six hours spends 5 %: warn. The last quarter hour, or hour, must still be as bad."
        ),
    },
    (Threshold.Measure.BREAKER, SubjectKind.TRANSPORT): {
        "why": "Sessions failed one after the other: mail waits until the server can be reached again.",
    },
    (Threshold.Measure.GIVEN_UP, SubjectKind.STREAM): {
        "sample_floor": 10,
        "why": (
            "Single messages that expire or can't be sent end without a bounce, so no rate shows them: ten in a day that are "
            "more than 2 % of a stream's are more than its full mailboxes."
        ),
    },
    (Threshold.Measure.GIVEN_UP, SubjectKind.CAMPAIGN): {
        "sample_floor": 10,
        "why": (
            "A campaign is completed, too, where much of it expired or could not be sent: ten in a day that are more than "
            "2 % of it, and were not sent again."
        ),
    },
    (Threshold.Measure.UNSERVED, SubjectKind.STREAM): {
        "why": "Where every process that sends is gone, no transport fails and no rate moves: mail just waits.",
    },
    (Threshold.Measure.RECORDS, SubjectKind.DOMAIN): {
        "why": (
            "A record that was well and broke costs no message an error at first: receivers file mail as spam or refuse it, "
            "and bulk mail stops when the grace is over. Only of domains with streams."
        ),
    },
    (Threshold.Measure.LISTED, SubjectKind.DOMAIN): {
        "why": (
            "A list of senders of spam that names a domain, or an address it sends from, turns mail away at all receivers that "
            "ask it, within minutes, and takes days to leave. Only of domains with streams that were on none."
        ),
    },
    (Threshold.Measure.UNANSWERED, SubjectKind.DOMAIN): {
        "why": "Where name servers are silent, receivers can't authenticate mail, and nobody sees a record break.",
    },
    (Threshold.Measure.SILENT, SubjectKind.TRANSPORT): {
        "sample_floor": 50,
        "why": (
            "A provider tells what became of each message, mostly within minutes. Where it told less than a tenth of 50 an hour "
            "after their hour, its webhook is silent, and bounces go unheard: act where it told before or is refused, else warn. "
            "Where it tells of failures alone, twenty times as many must go without one. Only of transports with a webhook."
        ),
    },
    (Threshold.Measure.UNREAD, SubjectKind.MAILBOX): {
        "why": "Bounces in a mailbox that can't be read are not heard: mail goes on to addresses that are gone.",
    },
}


def add_missing(*, using: str = "default") -> None:
    """Make the thresholds that are not there yet; those that are stay as people set them."""
    if Threshold._meta.db_table not in connections[using].introspection.table_names():  # noqa: SLF001 - Django's documented name
        return  # migrated back to nothing
    rows = Threshold.objects.using(using)
    known = set(rows.values_list("measure", "subject_kind"))
    for (measure, subject_kind), fields in DEFAULTS.items():
        if (measure.value, subject_kind.value) not in known:
            rows.create(measure=measure, subject_kind=subject_kind, **fields)
