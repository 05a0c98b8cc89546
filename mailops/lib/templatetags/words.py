"""Words for what is stored as a machine's name: reasons, faults, mailbox providers."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mailops.lib.mailbox_providers import name_of
from mailops.protocol.classification import MEANINGS, Fault, Reason

register = template.Library()

# who must mend it
FAULTS = {
    Fault.RECIPIENT: "it lies with the recipient",
    Fault.MESSAGE: "it lies with this message",
    Fault.AUTHENTICATION: "it lies with our log-in or our domain's records",
    Fault.REPUTATION: "it lies with our reputation",
    Fault.SETUP: "it lies with how we use the server",
    Fault.OUTAGE: "it lies with their server",
    Fault.UNKNOWN: "the reply doesn't say where it lies",
}

# reasons of our own, which no server gave
OURS = {
    "campaign_canceled": "Its campaign was canceled.",
    "complaint": "The recipient called it unwanted.",
    "content_not_kept": "Its content was not kept, so it could not be tried again.",
    "expired": "It could not be handed over within the time its stream allows.",
    "infected": "The virus scanner found something in a file of it.",
    "internal_error": "mailops itself failed on it.",
    "machine": "A machine did it, as far as can be told.",
    "mail_program": "A mail program did it for its user, maybe before anybody read.",
    "no_final_reply": "The connection broke after the content was sent and before the server answered.",
    "render_failed": "Its template couldn't be filled in for this recipient.",
    "restored": "The database was restored from a backup that had it unsent.",
    "session_lost": "The connection was lost.",
    "suppressed": "The address is on the suppression list.",
    "unfit_content": "Mail can't be made of its content.",
    "unsubscribe": "The recipient unsubscribed.",
    "untried": "It was never tried: it waited for its turn, behind other mail, a limit or a stop, until the time its "
    "stream allows was over. Give the stream more time, then send it again.",
    "worker_lost": "The process that sent it died.",
}

# where in a session an answer was lost
PHASES = {"body": "after the content"}

# who told of an event
SOURCES = {
    "arf": "complaint report",
    "demo": "demo",
    "dispatch": "sending",
    "dsn": "bounce report",
    "outbox": "mailops",
    "person": "a person",
    "relay_log": "relay's log",
    "ses": "Amazon SES",
    "tracking": "pictures and links",
    "unsubscribe": "unsubscribe link",
}


@register.filter
def breakable(address: object) -> SafeString:
    """Return an address that breaks behind its @ before it breaks anywhere else."""
    before, at, behind = str(address).rpartition("@")
    return format_html("{}{}<wbr>{}", before, at, behind) if at else format_html("{}", address)


register.filter("provider_name", name_of)


@register.filter
def source_word(source: str) -> str:
    """Return who told of an event."""
    return SOURCES.get(source, source)


ACRONYMS = {
    name.lower(): name for name in ("SPF", "DKIM", "DMARC", "TLS", "DNS", "MX", "IP", "SMTPUTF8")
}


@register.filter
def reason_word(reason: str) -> str:
    """Return a reason as a short name: "Unknown mailbox"."""
    words = [ACRONYMS.get(word, word) for word in reason.split("_") if word]
    if not words:
        return "No reason given"
    first, *others = words
    return " ".join([first[0].upper() + first[1:], *others])


@register.filter
def reason_sentence(reason: str) -> str:
    """Return what a reason means: "There is no such mailbox."; nothing for none."""
    return MEANINGS[Reason(reason)].sentence if reason in set(Reason) else OURS.get(reason, "")


@register.filter
def phase_words(phase: str) -> str:
    """Return where in a session something broke."""
    return PHASES.get(phase, phase)


@register.filter
def fault_words(fault: str) -> str:
    """Return where a fault lies."""
    return FAULTS[Fault(fault)] if fault in set(Fault) else ""
