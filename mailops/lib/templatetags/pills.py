"""One pill for every status in the house: its word, tone and icon stand in one table."""

from dataclasses import dataclass

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mailops.lib.templatetags.icons import icon

register = template.Library()


@dataclass(frozen=True)
class Pill:
    word: str
    tone: str  # ok, busy, warn, bad or quiet: the classes of parts.css
    icon: str


PILLS: dict[str, Pill] = {
    # messages, and what happened to them
    "queued": Pill("Queued", "quiet", "clock"),
    "deferred": Pill("Deferred", "warn", "retry"),
    "held": Pill("Held", "warn", "pause"),
    "accepted": Pill("Accepted", "ok", "check"),
    "delivered": Pill("Delivered", "ok", "check"),
    "bounced": Pill("Bounced", "bad", "return"),
    "returned": Pill("Bounced later", "bad", "return"),
    "failed": Pill("Failed", "bad", "error"),
    "suppressed": Pill("Suppressed", "quiet", "suppressions"),
    "expired": Pill("Expired", "bad", "clock"),
    "canceled": Pill("Canceled", "quiet", "minus"),
    "uncertain": Pill("Uncertain", "warn", "question"),
    "released": Pill("Released", "busy", "play"),
    "requeued": Pill("Sent again", "busy", "retry"),
    "delayed": Pill("Delayed", "warn", "clock"),
    "complained": Pill("Complained", "bad", "flag"),
    "unsubscribed": Pill("Unsubscribed", "quiet", "suppressions"),
    "opened": Pill("Opened", "ok", "eye"),
    "clicked": Pill("Clicked", "ok", "pointer"),
    "session_lost": Pill("Session lost", "warn", "warning"),
    "late": Pill("Late reply", "quiet", "info"),
    "settled": Pill("Settled", "ok", "user"),
    "reclassified": Pill("Understood anew", "quiet", "user"),
    # signatures of replies
    "new": Pill("New", "busy", "flag"),
    "taught": Pill("Taught", "ok", "user"),
    # campaigns, transports, streams, imports
    "draft": Pill("Draft", "quiet", "edit"),
    "scheduled": Pill("Scheduled", "busy", "clock"),
    "running": Pill("Running", "busy", "play"),
    "skipped": Pill("Skipped", "quiet", "clock"),
    "paused": Pill("Paused", "warn", "pause"),
    "way:stopped": Pill("Waits for its transport", "warn", "pause"),
    "completed": Pill("Completed", "ok", "check"),
    "mapping": Pill("Choose columns", "warn", "edit"),
    # checks
    "unknown": Pill("Not known", "quiet", "question"),
    "ok": Pill("OK", "ok", "check"),
    "warning": Pill("Warning", "warn", "warning"),
    "error": Pill("Broken", "bad", "error"),
    "matches": Pill("As it should be", "ok", "check"),
    "optional": Pill("Optional", "quiet", "minus"),
    "differs": Pill("Differs", "warn", "warning"),
    "changed": Pill("Changed", "busy", "edit"),
    "seen": Pill("Seen", "quiet", "eye"),
    "authentication:pass": Pill("pass", "ok", "check"),
    "authentication:fail": Pill("fail", "bad", "error"),
    "authentication:softfail": Pill("softfail", "warn", "warning"),
    "authentication:neutral": Pill("neutral", "quiet", "minus"),
    "authentication:none": Pill("none", "quiet", "minus"),
    "authentication:temperror": Pill("temperror", "warn", "clock"),
    "authentication:permerror": Pill("permerror", "bad", "error"),
    "authentication:unknown": Pill("not known", "quiet", "question"),
    "dmarc:waiting": Pill("On its way", "busy", "clock"),
    "dmarc:refused": Pill("Not sent", "bad", "error"),
    "dmarc:pass": Pill("Passes", "ok", "check"),
    "dmarc:fail": Pill("Fails", "bad", "error"),
    "dmarc:unknown": Pill("Not known", "quiet", "question"),
    "signing_key:made": Pill("To publish", "warn", "edit"),
    "signing_key:published": Pill("Published", "busy", "check"),
    "signing_key:signing": Pill("Signing", "ok", "check"),
    "signing_key:retiring": Pill("Retiring", "quiet", "clock"),
    "signing_key:retired": Pill("Retired", "quiet", "minus"),
    "grant:waiting": Pill("Not signed in yet", "warn", "clock"),
    "grant:given": Pill("Signed in", "ok", "check"),
    "grant:refused": Pill("Withdrawn", "bad", "error"),
    "breaker:closed": Pill("Healthy", "ok", "check"),
    "breaker:open": Pill("Not reachable", "bad", "error"),
    "pressure:stopped": Pill("Waits", "bad", "pause"),
    "pressure:slowed": Pill("Slowed", "warn", "clock"),
    # incidents
    "open": Pill("Open", "bad", "stop"),
    "acknowledged": Pill("Acknowledged", "warn", "eye"),
    "calm": Pill("Well again", "ok", "check"),
    "closed": Pill("Closed", "ok", "check"),
    "severity:info": Pill("Info", "quiet", "info"),
    "severity:warning": Pill("Warning", "warn", "warning"),
    "severity:critical": Pill("Critical", "bad", "stop"),
    "past:warning": Pill("Was a warning", "quiet", "warning"),
    "past:critical": Pill("Was critical", "quiet", "stop"),
    "told": Pill("Told", "ok", "check"),
    # weekly digests
    "digest:waiting": Pill("Tried again", "warn", "retry"),
    "digest:failed": Pill("Not sent", "bad", "error"),
    "digest:dropped": Pill("Left out", "quiet", "minus"),
    # checklists
    "holds": Pill("Holds", "ok", "check"),
    "missing": Pill("Missing", "bad", "error"),
    "checklist:missing": Pill("Not yet", "warn", "warning"),
    "stale": Pill("Stale", "warn", "clock"),
    "pending": Pill("Pending", "quiet", "clock"),
    # suppressions
    "hard_bounce": Pill("Hard bounce", "bad", "return"),
    "soft_bounces": Pill("Repeated soft bounces", "warn", "return"),
    "complaint": Pill("Complaint", "bad", "flag"),
    "unsubscribe": Pill("Unsubscribed", "quiet", "suppressions"),
    "manual": Pill("Added by hand", "quiet", "user"),
    "imported": Pill("Imported", "quiet", "upload"),
    # feedback
    "feedback:pending": Pill("Waiting", "quiet", "clock"),
    "feedback:processed": Pill("Read", "ok", "check"),
    "feedback:quarantined": Pill("Quarantined", "warn", "warning"),
    "mailbox:read": Pill("Read", "ok", "check"),
    "mailbox:waiting": Pill("Not read yet", "quiet", "clock"),
    "mailbox:failing": Pill("Can't be read", "bad", "error"),
    "mailbox:off": Pill("Off", "quiet", "minus"),
    "feedback:failed": Pill("Unreadable", "bad", "error"),
    # people, processes, keys
    "active": Pill("Active", "ok", "check"),
    "off": Pill("Off", "quiet", "minus"),
    "inactive": Pill("Deactivated", "quiet", "minus"),
    "invited": Pill("Invited", "busy", "clock"),
    "standby": Pill("Standby", "quiet", "clock"),
    "stopped": Pill("Stopped", "quiet", "minus"),
}


def find(value: str, kind: str = "") -> Pill:
    """Return the pill of `value`; one that nobody drew yet is quiet and says its own name."""
    known = PILLS.get(f"{kind}:{value}") or PILLS.get(value)
    return known or Pill(value.replace("_", " ").capitalize() or "Not known", "quiet", "dot")


@register.simple_tag
def pill(value: object, kind: str = "", word: str = "") -> SafeString:
    """Return the pill of a status; `kind` ("breaker", "severity") tells apart what shares a word, `word` replaces it."""
    found = find(str(value), kind)
    return format_html(
        '<span class="pill {}">{}{}</span>', found.tone, icon(found.icon), word or found.word
    )


@register.filter
def tone(value: object) -> str:
    """Return the tone of a status, the class for a timeline entry or a bar."""
    return find(str(value)).tone
