"""What a negative reply means (RFC 5321, 4.2; RFC 3463; RFC 7372): why, whose fault, what to do, and what must stop.

One table, in two halves. MEANINGS says what follows from a reason; SIGNS says by what a reason is known. The text of a
reply outranks its enhanced status, a subcode outranks its class, and what no sign explains is said to be unexplained.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from mailops.protocol.reply import Reply


class Kind(StrEnum):
    TRANSIENT = "transient"  # 4yz: it may pass later
    PERMANENT = "permanent"  # 5yz: it won't


class Fault(StrEnum):
    RECIPIENT = "recipient"  # the address or its mailbox
    MESSAGE = "message"  # this content or size
    AUTHENTICATION = "authentication"  # our login, or SPF, DKIM, DMARC of our mail
    REPUTATION = "reputation"  # how our addresses and domains are regarded
    SETUP = "setup"  # how we use the next hop: relaying, quota, TLS, syntax
    OUTAGE = "outage"  # theirs: busy, full, unreachable
    UNKNOWN = "unknown"  # the reply doesn't say


class Stops(StrEnum):
    NONE = "none"  # it concerns this message alone
    CAMPAIGN = "campaign"  # every message like it would be refused
    TRANSPORT = "transport"  # everything through this transport would be refused


class Reason(StrEnum):
    UNKNOWN_MAILBOX = "unknown_mailbox"
    MAILBOX_DISABLED = "mailbox_disabled"
    MAILBOX_MOVED = "mailbox_moved"
    UNKNOWN_DOMAIN = "unknown_domain"
    NO_MAIL_DOMAIN = "no_mail_domain"
    BAD_ADDRESS = "bad_address"
    MAILBOX_FULL = "mailbox_full"
    RECIPIENT_BUSY = "recipient_busy"
    RECIPIENT_REFUSES = "recipient_refuses"
    CONTENT_REFUSED = "content_refused"
    MALWARE = "malware"
    POLICY = "policy"
    TOO_BIG = "too_big"
    BAD_MESSAGE = "bad_message"
    NEEDS_SMTPUTF8 = "needs_smtputf8"
    LOGIN_FAILED = "login_failed"
    LOGIN_REQUIRED = "login_required"
    UNAUTHENTICATED = "unauthenticated"
    SPF_FAILED = "spf_failed"
    DKIM_FAILED = "dkim_failed"
    DMARC_FAILED = "dmarc_failed"
    BLOCKLISTED = "blocklisted"
    LOW_REPUTATION = "low_reputation"
    RATE_LIMITED = "rate_limited"
    RELAYING_DENIED = "relaying_denied"
    SENDER_REFUSED = "sender_refused"
    QUOTA_SPENT = "quota_spent"
    ACCOUNT_STOPPED = "account_stopped"
    NO_REVERSE_DNS = "no_reverse_dns"
    TLS_REQUIRED = "tls_required"
    NOT_UNDERSTOOD = "not_understood"
    GREYLISTED = "greylisted"
    SERVER_BUSY = "server_busy"
    SERVER_FAULT = "server_fault"
    UNREACHABLE = "unreachable"
    GAVE_UP = "gave_up"
    LOOP = "loop"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Meaning:
    fault: Fault
    sentence: str
    fix: str
    suppress: bool = False  # where the refusal is permanent
    stops: Stops = Stops.NONE
    stops_when_transient: bool = False


@dataclass(frozen=True, slots=True)
class Classification:
    kind: Kind
    reason: Reason
    fault: Fault
    sentence: str
    fix: str
    suppress: bool
    stops: Stops

    @property
    def is_permanent(self) -> bool:
        return self.kind == Kind.PERMANENT


MEANINGS: dict[Reason, Meaning] = {
    Reason.UNKNOWN_MAILBOX: Meaning(
        Fault.RECIPIENT,
        "There is no such mailbox.",
        "Nothing to do: the address is suppressed. Correct it in the audience if it was mistyped.",
        suppress=True,
    ),
    Reason.MAILBOX_DISABLED: Meaning(
        Fault.RECIPIENT,
        "The mailbox is switched off and takes no mail.",
        "Nothing to do: the address is suppressed.",
        suppress=True,
    ),
    Reason.MAILBOX_MOVED: Meaning(
        Fault.RECIPIENT,
        "The mailbox has moved and left no address.",
        "Nothing to do: the address is suppressed. Ask the person for the new one.",
        suppress=True,
    ),
    Reason.UNKNOWN_DOMAIN: Meaning(
        Fault.RECIPIENT,
        "The domain of the address doesn't exist.",
        "Nothing to do: the address is suppressed. Correct it in the audience if it was mistyped.",
        suppress=True,
    ),
    Reason.NO_MAIL_DOMAIN: Meaning(
        Fault.RECIPIENT,
        "The domain of the address says that it takes no mail.",
        "Nothing to do: the address is suppressed.",
        suppress=True,
    ),
    Reason.BAD_ADDRESS: Meaning(
        Fault.RECIPIENT,
        "The server doesn't understand the address.",
        "Correct the address in the audience; it is suppressed as it stands.",
        suppress=True,
    ),
    Reason.MAILBOX_FULL: Meaning(
        Fault.RECIPIENT,
        "The mailbox is full.",
        "Wait: it is tried again, and suppressed only if it stays full.",
    ),
    Reason.RECIPIENT_BUSY: Meaning(
        Fault.RECIPIENT,
        "The mailbox gets more mail than its provider allows just now.",
        "Wait: it is tried again by the stream's back-off.",
    ),
    Reason.RECIPIENT_REFUSES: Meaning(
        Fault.RECIPIENT,
        "The recipient, or a rule of theirs, refuses mail from this sender.",
        "Don't write to this person from this sender; ask them whether they want the mail.",
    ),
    Reason.CONTENT_REFUSED: Meaning(
        Fault.MESSAGE,
        "The server takes this message for spam.",
        "Look at the template's links, wording and size, test it in the sandbox, then retry these recipients.",
    ),
    Reason.MALWARE: Meaning(
        Fault.MESSAGE,
        "The server found a virus or a forbidden attachment in this message.",
        "Take the attachment or link out of the template, then retry these recipients.",
    ),
    Reason.POLICY: Meaning(
        Fault.MESSAGE,
        "The server's policy refuses this message; it doesn't say which rule.",
        "Read the technical text; if many recipients of this provider refuse, write to its postmaster.",
    ),
    Reason.TOO_BIG: Meaning(
        Fault.MESSAGE,
        "The message is bigger than the server takes.",
        "Make the message smaller (attachments, inlined images), then retry these recipients.",
    ),
    Reason.BAD_MESSAGE: Meaning(
        Fault.MESSAGE,
        "The server finds the message malformed.",
        "Look at the message's source: a header, a line too long, or a character the server doesn't take.",
    ),
    Reason.NEEDS_SMTPUTF8: Meaning(
        Fault.MESSAGE,
        "The address has letters outside ASCII and the server doesn't offer SMTPUTF8.",
        "Use a transport that offers SMTPUTF8, or an ASCII address of the same person.",
    ),
    Reason.LOGIN_FAILED: Meaning(
        Fault.AUTHENTICATION,
        "The login was refused; most often the credential was rotated.",
        "Put in the present user name and secret on the transport's page, test it, then resume.",
        stops=Stops.TRANSPORT,
    ),
    Reason.LOGIN_REQUIRED: Meaning(
        Fault.AUTHENTICATION,
        "The server wants a login: the credential is missing, the endpoint is wrong, or TLS is off.",
        "Give the transport a credential, check its host, port and TLS, test it, then resume.",
        stops=Stops.TRANSPORT,
    ),
    Reason.UNAUTHENTICATED: Meaning(
        Fault.AUTHENTICATION,
        "The receiver finds the message neither SPF nor DKIM authenticated.",
        "Open the sending domain's page, publish the records it shows as missing, then resume.",
        stops=Stops.CAMPAIGN,
    ),
    Reason.SPF_FAILED: Meaning(
        Fault.AUTHENTICATION,
        "SPF failed: the sending server isn't allowed by the domain's SPF record.",
        "Add the transport's include or address to the SPF record, as the domain's page shows, then resume.",
        stops=Stops.CAMPAIGN,
    ),
    Reason.DKIM_FAILED: Meaning(
        Fault.AUTHENTICATION,
        "DKIM failed: there is no valid signature of the sending domain.",
        "Check that the transport signs and that the selector is published, on the domain's page, then resume.",
        stops=Stops.CAMPAIGN,
    ),
    Reason.DMARC_FAILED: Meaning(
        Fault.AUTHENTICATION,
        "DMARC failed: neither SPF nor DKIM passes for the domain in From.",
        "Align SPF or DKIM with the From domain, as the domain's page shows, then resume.",
        stops=Stops.CAMPAIGN,
    ),
    Reason.BLOCKLISTED: Meaning(
        Fault.REPUTATION,
        "The sending address or domain is on a block list.",
        "Find the list in the technical text, mend the cause, ask for removal; use another transport until then.",
        stops=Stops.CAMPAIGN,
    ),
    Reason.LOW_REPUTATION: Meaning(
        Fault.REPUTATION,
        "The receiver distrusts the sending address or domain.",
        "Send less, to people who read it; watch complaints; warm up again before sending more.",
        stops=Stops.CAMPAIGN,
    ),
    Reason.RATE_LIMITED: Meaning(
        Fault.REPUTATION,
        "The receiver finds that we send too fast.",
        "Lower the rate of the transport or stream; what was deferred is tried again by itself.",
    ),
    Reason.RELAYING_DENIED: Meaning(
        Fault.SETUP,
        "The server won't relay for us: we aren't logged in, or this isn't our provider's endpoint.",
        "Check the transport's host, port and credential, test it, then resume.",
        stops=Stops.TRANSPORT,
    ),
    Reason.SENDER_REFUSED: Meaning(
        Fault.SETUP,
        "The server doesn't take the sender: the address or domain isn't verified there, or doesn't exist.",
        "Verify the sending domain with the provider and check the return-path host, then resume.",
        stops=Stops.CAMPAIGN,
    ),
    Reason.QUOTA_SPENT: Meaning(
        Fault.SETUP,
        "The provider's sending quota is used up.",
        "Wait for the quota to renew or buy more, then resume the transport.",
        stops=Stops.TRANSPORT,
        stops_when_transient=True,
    ),
    Reason.ACCOUNT_STOPPED: Meaning(
        Fault.SETUP,
        "The provider has stopped or not yet approved our account.",
        "Talk to the provider, then resume the transport.",
        stops=Stops.TRANSPORT,
        stops_when_transient=True,
    ),
    Reason.NO_REVERSE_DNS: Meaning(
        Fault.SETUP,
        "The sending server's address has no matching PTR record.",
        "Have the PTR of the sending address name a host that resolves back to it, then resume.",
        stops=Stops.TRANSPORT,
    ),
    Reason.TLS_REQUIRED: Meaning(
        Fault.SETUP,
        "The server wants TLS first.",
        "Set the transport to STARTTLS on 587 or implicit TLS on 465, test it, then resume.",
        stops=Stops.TRANSPORT,
    ),
    Reason.NOT_UNDERSTOOD: Meaning(
        Fault.SETUP,
        "The server didn't understand or allow the command.",
        "Test the transport and read its transcript; the endpoint may not be a submission server.",
    ),
    Reason.GREYLISTED: Meaning(
        Fault.OUTAGE,
        "The server makes new senders wait (greylisting).",
        "Wait: it is tried again by the stream's back-off.",
    ),
    Reason.SERVER_BUSY: Meaning(
        Fault.OUTAGE,
        "The server is busy or not available just now.",
        "Wait: it is tried again by the stream's back-off.",
    ),
    Reason.SERVER_FAULT: Meaning(
        Fault.OUTAGE,
        "The server has a fault of its own.",
        "Wait and retry; if it lasts, tell its postmaster.",
    ),
    Reason.UNREACHABLE: Meaning(
        Fault.OUTAGE,
        "The recipient's server could not be reached.",
        "Wait and retry; if it lasts, ask whether the domain still takes mail.",
    ),
    Reason.GAVE_UP: Meaning(
        Fault.OUTAGE,
        "The next hop tried for as long as it does and gave up.",
        "Retry these recipients later.",
    ),
    Reason.LOOP: Meaning(
        Fault.OUTAGE,
        "The recipient's servers pass the message in a circle.",
        "Nothing to do here: their postmaster must mend the forwarding.",
    ),
    Reason.UNEXPLAINED: Meaning(
        Fault.UNKNOWN,
        "The server refused without a reason that mailops knows.",
        "Read the technical text; ask the receiver's postmaster if it concerns many.",
    ),
}

_BEFORE_ANYONE = frozenset({"connect", "tls", "banner", "ehlo", "auth", "mail"})
_UP_TO_LOGIN = frozenset({"connect", "tls", "banner", "ehlo", "auth"})


@dataclass(frozen=True, slots=True)
class Sign:
    """By what a reason is known; what is left empty matches anything."""

    reason: Reason
    text: re.Pattern[str] | None = None
    statuses: frozenset[str] = frozenset()  # the last two numbers: "1.1"
    codes: frozenset[int] = frozenset()
    phases: frozenset[str] = frozenset()

    def fits(self, text: str, status: str, code: int, phase: str) -> bool:
        return (
            (not self.phases or phase in self.phases)
            and (not self.codes or code in self.codes)
            and (not self.statuses or status in self.statuses)
            and (self.text is None or self.text.search(text) is not None)
        )


def _says(reason: Reason, *phrases: str, phases: frozenset[str] = frozenset()) -> Sign:
    return Sign(reason, text=re.compile("|".join(phrases)), phases=phases)


def _has(reason: Reason, *statuses: str, phases: frozenset[str] = frozenset()) -> Sign:
    return Sign(reason, statuses=frozenset(statuses), phases=phases)


def _is(reason: Reason, *codes: int, phases: frozenset[str] = frozenset()) -> Sign:
    return Sign(reason, codes=frozenset(codes), phases=phases)


# Read from the top; the first that fits decides. Texts are matched in lower case, with addresses and links taken out,
# so that `spam@…` in a text is no sign of spam.
SIGNS: tuple[Sign, ...] = (
    # Texts, what concerns us first: a refusal of ours must never be laid on the recipient.
    _says(
        Reason.QUOTA_SPENT,
        r"(?:daily|hourly|monthly|sending|message|user|account) (?:\w+ ){0,3}(?:limit|quota) (?:has been |was |is )?(?:exceeded|reached|used up)",
        r"exceeded (?:your|the|its|their) (?:\w+ ){0,3}(?:sending|daily|hourly|monthly|account|message) (?:\w+ )?(?:limit|quota)",
        r"maximum credits exceeded|out of credits|insufficient credits|tenant (?:has )?exceeded",
    ),
    _says(
        Reason.ACCOUNT_STOPPED,
        r"account (?:\w+ ){0,3}(?:suspended|paused|disabled for sending|pending approval|under review|blocked from sending)",
        r"sending (?:is |has been )?(?:paused|suspended|disabled) for",
        r"not (?:yet )?(?:been )?(?:approved|allowed|authorized) to send",
        r"tenant (?:is )?(?:blocked|has been blocked)",
    ),
    _says(
        Reason.RELAYING_DENIED,
        r"relay(?:ing)? (?:access )?(?:is )?(?:not )?(?:denied|permitted|allowed|prohibited)",
        r"unable to relay|(?:cannot|can't|won't|not permitted to|refus\w+ to) relay|not (?:an? )?open relay|relay not",
    ),
    _says(
        Reason.TLS_REQUIRED,
        r"must issue (?:a )?starttls|starttls (?:is )?(?:required|first)|tls (?:is )?required|requires? (?:a )?tls|encryption (?:is )?required|without (?:using )?tls|insecure connection",
    ),
    _says(
        Reason.LOGIN_FAILED,
        r"authentication (?:credentials )?(?:failed|invalid|unsuccessful|rejected|failure)|invalid (?:login|credential|user ?name|api key|password)",
        r"(?:username and password|password|credentials?) (?:not accepted|incorrect|is wrong|invalid)|bad (?:username|credentials|login)|login (?:failed|denied|incorrect)",
        phases=_BEFORE_ANYONE,
    ),
    _says(
        Reason.LOGIN_REQUIRED,
        r"authentication (?:is )?(?:required|needed)|must (?:be )?authenticate|(?:not|un)[ -]?authenticated (?:user|session)|client (?:was|is) not authenticated|(?:please )?log ?in first",
        phases=_BEFORE_ANYONE | {"rcpt"},
    ),
    _says(
        Reason.SENDER_REFUSED,
        r"sender address rejected|sender (?:verif\w+|domain) (?:failed|error)|sender verify|could not verify sender|sender (?:is )?(?:unknown|invalid|not (?:allowed|verified|found))",
        r"(?:from|sender)(?: address| identity)? (?:\w+ ){0,4}not (?:been )?verified|address is not verified|not (?:a )?verified (?:sender|identity|domain)|identities failed the check",
        r"not (?:owned|allowed to send (?:as|from))|send ?as ?denied|(?:mail from|return.path|sender) domain (?:\w+ ){0,4}(?:not exist|not found|not resolve|no valid|no mx)|domain of sender",
    ),
    _says(
        Reason.NO_REVERSE_DNS,
        r"reverse (?:dns|lookup|hostname|path lookup)|\bptr\b|\brdns\b|cannot find your (?:reverse )?hostname",
    ),
    _says(
        Reason.DMARC_FAILED,
        r"\bdmarc\b",
    ),
    _says(
        Reason.UNAUTHENTICATED,
        r"sender is unauthenticated|unauthenticated (?:email|mail|message|sender)|required authentication level|neither spf nor dkim|(?:must|requires?) (?:\w+ ){0,6}(?:spf|dkim) (?:or|and) (?:spf|dkim)|fail(?:s|ed)? (?:both )?authentication checks|message (?:\w+ ){0,3}(?:not|lacks?) (?:\w+ )?authentic",
    ),
    _says(
        Reason.SPF_FAILED,
        r"\bspf\b.{0,60}(?:fail|not pass|did not|didn't|neutral|not authorized|not permitted|not allowed|error|reject|missing|deny)",
        r"(?:fail|not pass|did not|didn't|error|reject).{0,40}\bspf\b|sender policy framework",
    ),
    _says(
        Reason.DKIM_FAILED,
        r"\bdkim\b.{0,60}(?:fail|not pass|did not|didn't|invalid|missing|no valid|error|not found|reject)",
        r"(?:fail|not pass|did not|didn't|invalid|missing|no|error).{0,40}\bdkim\b",
    ),
    _says(
        Reason.BLOCKLISTED,
        r"block ?list|black ?list|deny ?list|\b(?:rbl|dnsbl|spamhaus|spamcop|barracudacentral|sorbs|uceprotect|invaluement)\b|banned sending ip|listed (?:at|in|on|by) ",
        r"(?:client host|\bip\b|address|\[[0-9a-f.:]+\]|connection) (?:\S+ ){0,4}(?:is |are |was |been )?(?:blocked|listed|banned)|blocked (?:using|by \S+ (?:list|rbl))",
    ),
    _says(
        Reason.LOW_REPUTATION,
        r"(?:low|poor|bad|very low|no) reputation|reputation (?:of|is|score)|user complaints|(?:high|too many) (?:\w+ )?complaints|suspicious due to|our system has detected (?:an unusual|that this message is (?:likely )?(?:suspicious|unsolicited))",
    ),
    # Texts about the message.
    _says(
        Reason.NEEDS_SMTPUTF8,
        r"smtputf8|utf-?8 (?:addresses|sender|recipient)|internationali[sz]ed (?:\w+ )?address|non-ascii (?:\w+ ){0,2}address",
    ),
    _says(
        Reason.MALWARE,
        r"\bvirus|malware|trojan|infected|phish|(?:attachment|file) (?:type |name |extension )?(?:\S+ )?(?:is |was |are )?(?:not allowed|blocked|prohibited|banned|forbidden)|blocked (?:attachment|file)|potential security issue",
    ),
    _says(
        Reason.TOO_BIG,
        r"(?:message|mail|content|data)(?: \w+){0,3} (?:exceeds?|exceeded|over) (?:\w+ ){0,4}(?:size|bytes)",
        r"(?:message|mail) (?:is )?too (?:big|large)|message size|size limit|exceeds (?:the )?(?:maximum|fixed|allowed) (?:\w+ )?size",
    ),
    # Texts about the recipient.
    _says(
        Reason.RECIPIENT_BUSY,
        r"(?:receiving|received) (?:mail|messages|email) (?:at a rate|too (?:quickly|fast|many))|recipient (?:\w+ ){0,3}(?:rate|message) limit|too many messages (?:for|to) (?:this|the) (?:recipient|user|mailbox)",
    ),
    _says(
        Reason.MAILBOX_FULL,
        r"(?:mailbox|inbox|mail ?box|user|account|recipient|maildir|storage|disk)(?: \S+){0,4} (?:is |are |was |has )?(?:\w+ )?(?:full|over ?quota|exceeded|out of (?:storage|space|disk))",
        r"over ?quota|quota (?:is |has been |was )?(?:exceeded|full)|exceed(?:s|ed|ing)? (?:\w+ ){0,4}(?:quota|storage)|not enough (?:storage|disk) space|insufficient (?:disk|mailbox|storage)|mailbox size limit",
    ),
    _says(
        Reason.MAILBOX_DISABLED,
        r"(?:mailbox|account|user|recipient|address)(?: \S+){0,5} (?:is |has been |was )?(?:currently |temporarily )?(?:disabled|inactive|deactivated|suspended|discontinued|expired|locked|closed|not active|no longer (?:active|available|in use|valid|accept\w+))",
        r"(?:disabled|inactive|deactivated|suspended|closed) (?:mailbox|account|user|recipient|address)|no longer (?:works|employed|with)",
    ),
    _says(
        Reason.UNKNOWN_DOMAIN,
        r"(?:no such|unknown|bad|invalid|non-?existent) (?:destination |recipient )?(?:domain|host)\b|(?:domain|host)(?: or domain name)?(?: name)?(?: \S+){0,3} (?:not found|does(?: not|n't) exist|unknown)|nxdomain|unroute?able (?:address|mail domain|domain)",
    ),
    _says(
        Reason.NO_MAIL_DOMAIN,
        r"null ?mx|domain (?:\S+ )?(?:does not|doesn't) accept (?:e-?)?mail|host (?:does not|never) accepts? mail",
    ),
    _says(
        Reason.UNKNOWN_MAILBOX,
        r"(?:no such|unknown|invalid|non-?existent|unrecogni[sz]ed|bad|undeliverable) (?:local |virtual |destination |delivery |e-?mail )?(?:user|mailbox|recipient|person|account|address|local part|alias)",
        r"(?:user|mailbox|recipient|account|address|inbox|person|alias)(?: \S+){0,6} (?:is |was )?(?:unknown|invalid|nonexistent|not (?:a )?(?:known|found|exist\w*|valid|listed|registered|local|here|in (?:our|the) \w+)|does(?: not|n't) (?:exist|have)|can(?:not|'t) be found|couldn't be found|could not be found|not exist)",
        r"(?:user|recipient|mailbox|address|account)(?: \S+){0,4} (?:doesn't|does not|didn't) (?:exist|have an?)|no mailbox (?:here|by that|found)|not our customer|not a (?:valid )?(?:user|mailbox|recipient)|no (?:valid )?recipients?\b(?! limit)|user(?:name)? not (?:found|known)|unable to find recipient|recipient not found",
        r"recipient address rejected: (?:access denied|undeliverable|user unknown|unverified)|address(?: \S+)? unknown|mailbox (?:unavailable|not available) or (?:does|not)|who are you looking for",
    ),
    _says(
        Reason.RECIPIENT_REFUSES,
        r"(?:recipient|user|mailbox) (?:\w+ ){0,4}(?:does(?: not|n't) (?:want|wish|accept)|refuse[sd]?|only accepts|rejects)|blocked by (?:the )?(?:recipient|user)|(?:recipient|user)(?:'s)? (?:block|deny|personal) ?(?:list|rule)|sender not (?:on|in) (?:the )?(?:allow|white)|delivery restrictions|restricted to authenticated",
    ),
    _says(
        Reason.BAD_ADDRESS,
        r"(?:bad|invalid|malformed) (?:\w+ )?address syntax|syntax error in (?:\w+ )?address|malformed address|address (?:\w+ ){0,2}not rfc|not a valid rfc",
    ),
    # Texts about the way.
    _says(
        Reason.GREYLISTED,
        r"gr[ea]y-?list|delayed? (?:by )?(?:sender )?gr[ea]y|please (?:re)?try again in \d+|come back (?:in|later)",
    ),
    _says(
        Reason.RATE_LIMITED,
        r"too many (?:\w+ ){0,3}(?:connections?|messages|emails|mails|recipients|sessions|requests|transactions|commands|errors)|rate[ -]?limit|throttl|(?:sending|send|connection|maximum sending) rate|unusual rate|unexpected volume|too (?:fast|quickly|frequent)|(?:connection|recipient|message)s? (?:\w+ )?limit (?:exceeded|reached)|slow(?:ing)? down|mail flood",
    ),
    _says(
        Reason.GAVE_UP,
        r"(?:delivery|message|retry|queue) (?:time|lifetime|period|timeout)(?: \w+){0,2} (?:expired|exceeded)|message (?:has )?expired|retry time(?:out)? exceeded|too long (?:in|on) (?:the )?queue|gave up|giving up|could not be delivered for \d+|retry timeout",
    ),
    _says(
        Reason.LOOP,
        r"too many (?:hops|received)|(?:mail|routing|forwarding) loop|loops? (?:back|detected)|hop count",
    ),
    _says(
        Reason.UNREACHABLE,
        r"connection (?:timed out|refused|reset|dropped|lost|closed|failed)|could ?n[o']t connect|unable to connect|network (?:is )?unreachable|no route to host|timed? ?out|host (?:\S+ )?(?:unreachable|is down|not responding)|temporary (?:dns|lookup|resolution)|(?:dns|mx|name service)(?: \w+){0,2} (?:fail|error|timed|timeout)",
    ),
    _says(
        Reason.CONTENT_REFUSED,
        r"\bspam\b|spam(?:my|miness|-| )(?:content|score|message)|unsolicited|\bjunk\b|(?:message|content|mail)(?: \w+){0,4} (?:rejected|refused|blocked|denied)(?: \w+){0,4} content|content (?:rejected|filter|refused|restrictions?)|(?:blocked|rejected) (?:by|due to|for) (?:\w+ ){0,2}(?:content|filter)|\b(?:surbl|uribl|dbl)\b|bulk mail|suspicious (?:content|message|link|url)",
    ),
    # Subcodes (the two numbers after the class).
    _has(Reason.LOGIN_REQUIRED, "7.0", "7.1", "5.1", phases=frozenset({"auth"})),
    _has(Reason.UNKNOWN_MAILBOX, "1.1"),
    _has(Reason.UNKNOWN_DOMAIN, "1.2"),
    _has(Reason.BAD_ADDRESS, "1.3"),
    _has(Reason.MAILBOX_MOVED, "1.6"),
    _has(Reason.SENDER_REFUSED, "1.7", "1.8"),
    _has(Reason.NO_MAIL_DOMAIN, "1.10"),
    _has(Reason.MAILBOX_DISABLED, "2.1"),
    _has(Reason.MAILBOX_FULL, "2.2"),
    _has(Reason.TOO_BIG, "2.3", "3.4"),
    _has(Reason.RECIPIENT_BUSY, "2.121", "2.122"),
    _has(Reason.SERVER_BUSY, "3.0", "3.1", "3.2"),
    _has(Reason.SERVER_FAULT, "3.3", "3.5"),
    _has(Reason.UNREACHABLE, "4.1", "4.2", "4.3", "4.4"),
    _has(Reason.RATE_LIMITED, "4.5"),
    _has(Reason.LOOP, "4.6"),
    _has(Reason.GAVE_UP, "4.7"),
    _has(Reason.RATE_LIMITED, "5.3"),
    _has(Reason.NOT_UNDERSTOOD, "5.1", "5.2", "5.4", "5.5"),
    _has(Reason.NEEDS_SMTPUTF8, "6.7", "6.9", "6.10"),
    _has(Reason.BAD_MESSAGE, "6.0", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6"),
    _has(Reason.LOGIN_FAILED, "7.8", "7.9", "7.12", "7.13", "7.14", phases=_UP_TO_LOGIN),
    _has(Reason.LOGIN_REQUIRED, "7.57"),
    _has(Reason.TLS_REQUIRED, "7.10", "7.11"),
    _has(Reason.DKIM_FAILED, "7.20", "7.21", "7.22"),
    _has(Reason.SPF_FAILED, "7.23", "7.24"),
    _has(Reason.NO_REVERSE_DNS, "7.25"),
    _has(Reason.UNAUTHENTICATED, "7.26", "7.515"),
    _has(Reason.DMARC_FAILED, "7.509"),
    _has(Reason.RATE_LIMITED, "7.28"),
    _has(Reason.QUOTA_SPENT, "7.705"),
    _has(Reason.RECIPIENT_REFUSES, "7.2", "7.12", "7.13", "7.17"),
    _has(Reason.POLICY, "7.0", "7.1"),
    # Codes, where no status was given or it says nothing.
    _is(Reason.LOGIN_FAILED, 535, 534),
    _is(Reason.LOGIN_REQUIRED, 530),
    _is(Reason.TLS_REQUIRED, 538, 523),
    _is(Reason.SERVER_BUSY, 454, 421, phases=_UP_TO_LOGIN),
    _is(Reason.LOW_REPUTATION, 554, phases=frozenset({"connect", "banner"})),
    _is(Reason.NO_MAIL_DOMAIN, 521, 556),
    _is(Reason.SENDER_REFUSED, 550, 553, phases=frozenset({"mail"})),
    _is(Reason.RELAYING_DENIED, 551),
    _is(Reason.TOO_BIG, 552, phases=frozenset({"mail", "body", "data"})),
    _is(Reason.MAILBOX_FULL, 552, 452, phases=frozenset({"rcpt", "returned"})),
    _is(Reason.SERVER_BUSY, 421, 450, 451, 452, 454),
    _is(Reason.NOT_UNDERSTOOD, 500, 501, 502, 503, 504, 555, 455),
)

_ADDRESSES_AND_LINKS = re.compile(
    r"<[^<>\s]{0,320}>|[^\s<>\"'(]{1,64}@[^\s<>\"'):;,]{1,255}|https?://\S{1,500}"
)
_SPACES = re.compile(r"\s+")
_LINE_CODE = re.compile(r"(?:^|\n)\s*(?:[245]\d\d[ -])?\s*(?:[245]\.\d{1,3}\.\d{1,3})\s+")
_FIRST_STATUS = re.compile(r"(?<![\d.])([45])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_FIRST_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?=[ -]|$)")
_MAX_TEXT = 2000


def classify(reply: Reply, phase: str) -> Classification:
    """Return what `reply` means in `phase` (a `sessions.Phase`, or "returned" where it came back in a report)."""
    return _classify(reply.code, reply.enhanced_status, reply.text[:_MAX_TEXT], str(phase))


def classify_report(diagnostic: str, status: str) -> Classification:
    """Return what the diagnostic text and the status of a delivery report mean (RFC 3464, 2.3.4 and 2.3.6)."""
    reply = reply_in_report(diagnostic, status)
    return classify(reply, "returned")


def reply_in_report(diagnostic: str, status: str) -> Reply:
    """Return the reply a report quotes: code and status from its diagnostic, the status field only where it is mute."""
    text = diagnostic[:_MAX_TEXT].replace("\0", "\ufffd").strip()
    found, code = _FIRST_STATUS.search(text), _FIRST_CODE.search(text)
    said = ".".join(found.groups()) if found else ""
    if said[2:] in {"", "0.0"} or (code and said[:1] != code[1][0]):
        said = status if _FIRST_STATUS.fullmatch(status) and said[2:] in {"", "0.0"} else said
    if code:
        # as in a session, the text of a reply stands without its code
        return Reply(int(code[1]), text.removeprefix(code[1]).lstrip(" -"), said)
    return Reply(int(f"{said[0]}00") if said else 0, text, said)


@lru_cache(maxsize=4096)
def _classify(code: int, enhanced_status: str, text: str, phase: str) -> Classification:
    plain = _plain(text)
    status = enhanced_status.partition(".")[2]
    reason = next(
        (sign.reason for sign in SIGNS if sign.fits(plain, status, code, phase)),
        Reason.UNEXPLAINED,
    )
    kind = _kind(code, enhanced_status)
    if reason == Reason.SERVER_BUSY and kind == Kind.PERMANENT:
        reason = Reason.SERVER_FAULT  # busy for good: nothing is tried again
    return _conclude(reason, kind, phase)


def _plain(text: str) -> str:
    text = _LINE_CODE.sub(" ", text.lower().replace("\u2019", "'"))
    return _SPACES.sub(" ", _ADDRESSES_AND_LINKS.sub("", text)).strip()


def _kind(code: int, enhanced_status: str) -> Kind:
    first = str(code)[0] if 400 <= code < 600 else enhanced_status[:1]
    return Kind.PERMANENT if first == "5" else Kind.TRANSIENT


def _conclude(reason: Reason, kind: Kind, phase: str) -> Classification:
    meaning = MEANINGS[reason]
    is_final = kind == Kind.PERMANENT
    stops = meaning.stops if is_final or meaning.stops_when_transient else Stops.NONE
    if is_final and phase in _BEFORE_ANYONE and meaning.fault != Fault.MESSAGE:
        # Nobody has been spoken of yet: whatever is wrong is wrong for every message.
        stops = stops if reason == Reason.SENDER_REFUSED else Stops.TRANSPORT
    return Classification(
        kind=kind,
        reason=reason,
        fault=meaning.fault,
        sentence=meaning.sentence,
        fix=meaning.fix,
        suppress=meaning.suppress and is_final and phase not in _BEFORE_ANYONE,
        stops=stops,
    )
