"""What a provider's answer over HTTP means, as the SMTP reply that says the same (RFC 5321, 3463), so that one table judges both.

The words of an answer that speaks of us (key, account, domain) are put so that no sign of a recipient's fault is read
into them: “account not found” must suppress nobody.
"""

import email.utils
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from mailops.protocol.reply import Reply, make_reply

THROTTLED_SECONDS = 2  # where a provider doesn't say how long
_MOST_SECONDS = 86_400
_MOST_WORDS = 300
# What may stand between a recipient and what is said of it: nothing that is ours.
_NOT_OURS = r"(?:(?!\b(?:your|account|key|domain|sender|server|stream)\b).){0,60}"

# By words that providers use, whatever the HTTP status: SMTP code, enhanced status, our sentence.
_BY_WORDS: tuple[tuple[re.Pattern[str], int, str, str], ...] = (
    (
        re.compile(
            r"invalid[_ ]?(?:server[_ ]?)?(?:api[_ ]?)?key|apiaccessdenied|invalid (?:api )?token"
            r"|\b(?:key|token) (?:\w+ ){0,3}(?:inactive|deactivated|disabled|revoked|expired)"
        ),
        535,
        "5.7.8",
        "the key was refused",
    ),
    (
        re.compile(
            r"paymentrequired|not enough credits|insufficient (?:credit|fund|balance)|credits? exceeded|quota[_ ]?exceeded"
            r"|(?:daily|monthly|hourly|plan|account|sending|email) (?:\w+ ){0,2}(?:limit|quota)|not allowed to send\b.{0,40}credit"
        ),
        452,
        "4.3.0",
        "sending quota exceeded",
    ),
    (
        re.compile(
            r"account (?:\w+ ){0,4}(?:suspended|disabled|inactive|deactivated|paused|blocked|pending|under review|not (?:yet )?(?:approved|activated))"
        ),
        554,
        "5.7.0",
        "account suspended",
    ),
    (
        # only what names the recipient alone: an address of ours must not be held against theirs
        re.compile(
            r"^(?!.*\b(?:from|sender)\b)(?:.*(?:invalid|illegal|malformed|not (?:a )?valid|bad)\b.{0,40}(?:recipient|rcpt|['\"`]to\b)"
            r"|.*(?:recipient|rcpt|['\"`]to['\"`]|\bto address).{0,60}(?:invalid|illegal|malformed|not (?:a )?valid))",
            re.DOTALL,
        ),
        550,
        "5.1.3",
        "malformed address",
    ),
    (
        re.compile(
            r"(?:domain|sender|from|identity|address|signature)\b.{0,80}(?:not|isn't|un)[_ -]?(?:been )?(?:verified|authori[sz]ed|confirmed|validated|found|allowed|registered|signed)"
            r"|(?:unverified|unauthori[sz]ed|unsigned|invalid) (?:\W?\w+\W? )?\W?(?:sender|from)\b|unauthenticatedfromaddress|unconfigured sending domain|sender signature|verified sender"
        ),
        553,
        "5.1.8",
        "the sender is not verified there",
    ),
    (
        # Each of these is said of a recipient alone; “inactive” and “suppressed” are said of what is ours as well.
        re.compile(
            r"permanent_unavailable|unsubscribed|hard_bounced|(?:all|some)_suppressed"
            r"|\"reject_reason\"\s*:\s*\"(?:hard-bounce|soft-bounce|spam|unsub|custom|invalid)\""
            r"|\"errorcode\"\s*:\s*406\b|\"code\"\s*:\s*\"?1902\b"
            rf"|(?:recipient|rcpt|\bto address){_NOT_OURS}(?:inactive|suppress)"
            r"|\b(?:inactive|suppressed) (?:recipient|rcpt|to address)"
        ),
        550,
        "5.7.1",
        "blocked by the recipient's earlier bounce, complaint or unsubscribe",
    ),
    (
        re.compile(
            r"(?:domain|sender|from|identity|signature)\b.{0,80}\b(?:inactive|suppressed)|invalid-sender|\"unsigned\""
        ),
        553,
        "5.1.8",
        "the sender is not active there",
    ),
    (
        re.compile(r"\b(?:stream|server|project)\b.{0,80}\b(?:inactive|archived)"),
        554,
        "5.3.5",
        "not allowed to send: what it sends through is not active there",
    ),
    (
        re.compile(r"magnificent api"),  # Mailgun's answer to whoever asks beside its API
        554,
        "5.3.5",
        "not allowed to send: there is no such address of the API",
    ),
    (re.compile(r"temporary_unavailable|temporar|serviceunavailable"), 451, "4.3.0", "not now"),
    (
        # SparkPost's answer of success; it need not say why
        re.compile(r'"total_rejected_recipients"\s*:\s*[1-9]'),
        550,
        "5.0.0",
        "the recipient was not taken",
    ),
)
# By the HTTP status (RFC 9110), where no words told more.
_BY_STATUS: Mapping[int, tuple[int, str, str]] = {
    401: (535, "5.7.8", "the key was refused"),
    402: (452, "4.3.0", "sending quota exceeded"),
    403: (535, "5.7.8", "the key was refused or may not send"),
    404: (554, "5.3.5", "not allowed to send: there is no such address of the API"),
    405: (554, "5.3.5", "not allowed to send: the address is not one of the API"),
    408: (451, "4.4.2", "the request came too slowly"),
    413: (552, "5.3.4", "the message is too big"),
    421: (451, "4.3.2", "the service is not available"),
    425: (451, "4.3.2", "too early"),
    429: (450, "4.7.28", "too many requests"),
    503: (451, "4.3.2", "the service is not available"),
}
_IS_REFUSAL = re.compile(
    r'"status"\s*:\s*"(?:error|parameter-error)"|"success"\s*:\s*false|magnificent api'
)
# What Mandrill calls an error of whoever asks, or says while it takes nothing, all with HTTP 500.
_IS_NAMED_REFUSAL = re.compile(
    r'"name"\s*:\s*"(?:validationerror|invalid_\w+|paymentrequired|unknown_\w+|serviceunavailable)"'
)
# A fault in the midst of it, whatever the status says: the mail may have been taken.
_IS_BREAKDOWN = re.compile(
    r"generalerror|internal[_ ]?(?:server[_ ]?)?error|unexpected error"
    r"|before headers|upstream (?:connect|request)|\btime[d-]?[ -]?out"
)


def is_definite(status: int, words: str) -> bool:
    """Tell whether an answer that is not a plain success says for sure that nothing was taken.

    Some say what is wrong with HTTP 200 (Postal) or 500 (Mandrill). Another 5xx is a fault of the server's own, or of
    one before it that lost the answer; so is a 503 that says so.
    """
    said = words.lower()
    if 300 <= status < 500:
        return True
    if status >= 500 and _IS_NAMED_REFUSAL.search(said):
        return True
    if _IS_BREAKDOWN.search(said):
        return False
    return status == 503 or (status < 300 and bool(_IS_REFUSAL.search(said)))


def refusal(provider: str, status: int, words: str) -> Reply:
    """Return the reply that means what a provider's refusal means, with its own words."""
    code, enhanced, sentence = _meaning(status, words.lower())
    shown = re.sub(r"[\s<>]+", "_", words.strip())[:_MOST_WORDS]
    text = f"{enhanced} {provider}: {sentence} (HTTP {status})" + (f" <{shown}>" if shown else "")
    return make_reply(code, [text], "POST")


def _meaning(status: int, words: str) -> tuple[int, str, str]:
    if (
        status not in {401, 404, 405, 413, 429, 503}
        or "quota" in words
        or "limit_exceeded" in words
    ):
        for sign, code, enhanced, sentence in _BY_WORDS:
            if sign.search(words):
                return code, enhanced, sentence
    if 300 <= status < 400:
        return 554, "5.3.5", "not allowed to send: the API's address leads elsewhere"
    if known := _BY_STATUS.get(status):
        return known
    return 554, "5.6.0", "this mail was not taken"


def retry_after(headers: Mapping[str, str], reply: Reply) -> int:
    """Return the seconds a provider asked for (RFC 9110, 10.2.3), a day at most; some where it is merely too fast, else 0."""
    wish = headers.get("retry-after", "").strip()
    if wish.isdecimal():
        return int(min(float(wish), _MOST_SECONDS))  # int() refuses thousands of digits
    if wish:
        return min(_until(wish), _MOST_SECONDS)
    return THROTTLED_SECONDS if reply.enhanced_status == "4.7.28" else 0


def _until(date: str) -> int:
    try:
        at = email.utils.parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return 0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, round((at - datetime.now(UTC)).total_seconds()))
