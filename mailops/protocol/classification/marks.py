"""The short codes and help pages by which mailbox providers document what they mean, as their postmasters' pages list them."""

import re

from mailops.protocol.classification.meanings import Reason


def _marks(reason: Reason, *marks: str) -> tuple[Reason, re.Pattern[str]]:
    return reason, re.compile("|".join(marks), re.IGNORECASE)


# Searched in the text as it came, links and all; what a text says in words outranks them, a vague “policy” does not.
MARKS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    # Yahoo and AOL
    _marks(Reason.LOW_REPUTATION, r"\[TSS?\d\d\]", r"\((?:RLY|DYN|CON|SCC):\w{1,4}\)", r"#\d{3}(?:rly|dyn|con)\w{1,3}\b"),
    _marks(Reason.NO_REVERSE_DNS, r"\(RTR:(?:RD|DU)\)", r"\[GL01-RDNS\]"),
    _marks(Reason.BLOCKLISTED, r"\[BL\d\d\]", r"\(RTR:\w{1,4}\)", r"#\d{3}rtr\w{1,3}\b"),
    _marks(Reason.CONTENT_REFUSED, r"\bMCSpamSignature\b", r"\[PH\d\d\]", r"\[UP\d?\]", r"\(HVU:\w{1,4}\)", r"#\d{3}hvu\w{1,3}\b", r"Message not allowed - "),
    _marks(Reason.DMARC_FAILED, r"\(AU0\d\)", r"\[AU0\d\]"),
    # Outlook.com
    _marks(Reason.BLOCKLISTED, r"\((?:S3140|S3150)\)", r"sender\.office\.com"),
    _marks(Reason.RATE_LIMITED, r"\bRP-00\d\b", r"\((?:S775|S843|S844)\)"),
    _marks(Reason.LOW_REPUTATION, r"\b(?:SC|DY|OU)-00\d\b"),
    # Gmail's help pages
    _marks(Reason.UNKNOWN_MAILBOX, r"[?&]p=NoSuchUser\b"),
    _marks(Reason.MAILBOX_DISABLED, r"[?&]p=DisabledUser\b"),
    _marks(Reason.MAILBOX_FULL, r"[?&]p=OverQuota\w*"),
    _marks(Reason.RECIPIENT_BUSY, r"[?&]p=ReceivingRate\w*"),
    _marks(Reason.RATE_LIMITED, r"[?&]p=Unsolicited(?:RateLimit|IP)Error\b"),
    _marks(Reason.CONTENT_REFUSED, r"[?&]p=UnsolicitedMessageError\b"),
    _marks(Reason.MALWARE, r"[?&]p=BlockedMessage\b"),
    _marks(Reason.TOO_BIG, r"[?&]p=MaxSizeError\b"),
    _marks(Reason.UNAUTHENTICATED, r"[?&]p=(?:IPv6AuthError|UnauthenticatedEmail|AuthenticationError)\b", r"sender-guidelines-(?:auth|ip)\b"),
    _marks(Reason.LOW_REPUTATION, r"[?&]p=NotAuthorizedError\b"),
    _marks(Reason.BAD_MESSAGE, r"[?&]p=RfcMessageNonCompliant\b"),
    # NetEase
    _marks(Reason.CONTENT_REFUSED, r"\bDT:SPM\b"),
    _marks(Reason.RATE_LIMITED, r"\bHL:(?:ICC|IFC|ITC)\b", r"\bMI:(?:CEL|CCL|DMC|SFQ|STC)\b", r"\bRP:(?:CEL|CCL|DRC|QRC|RCL|TRC|TRL)\b"),
    _marks(Reason.BLOCKLISTED, r"\bDT:RBL\b", r"\bHL:IPB\b", r"\bRP:(?:IPL|FRL)\b", r"\bWM:BL[IU]\b"),
    _marks(Reason.LOW_REPUTATION, r"\bHL:(?:REP|MEP)\b"),
    _marks(Reason.SPF_FAILED, r"\b(?:MI|RP):SPF\b"),
    _marks(Reason.NO_REVERSE_DNS, r"\b(?:MI:NHD|HL:IHU)\b"),
    _marks(Reason.SENDER_REFUSED, r"\bMI:(?:IMF|SPB)\b", r"\bDT:SUM\b"),
    # Orange and La Poste
    _marks(Reason.RATE_LIMITED, r"\b(?:OFR|LPN)\d{0,3}_10[49]\b"),
    _marks(Reason.LOW_REPUTATION, r"\b(?:OFR|LPN)\d{0,3}_(?:103|105|108|510|999)\b"),
    _marks(Reason.UNKNOWN_MAILBOX, r"\b(?:OFR|LPN)\d{0,3}_4(?:10|16)\b"),
    _marks(Reason.MAILBOX_FULL, r"\b(?:OFR|LPN)\d{0,3}_417\b"),
    _marks(Reason.CONTENT_REFUSED, r"\b(?:OFR|LPN)\d{0,3}_506\b"),
    # Comcast, Cox, AT&T
    _marks(Reason.BLOCKLISTED, r"#BL0000\d\d", r"\bIPBL\d{1,4}\b", r"\bCXBL\b", r"\bATTRBL\b", r"_is_blocked"),
    _marks(Reason.RATE_LIMITED, r"#RL0000\d\d", r"\bCX(?:CNCT|MXRT|THRT)\b"),
    _marks(Reason.NO_REVERSE_DNS, r"#PT0000\d\d", r"\bCXDNS\b"),
    _marks(Reason.DMARC_FAILED, r"#DM0000\d\d"),
    _marks(Reason.SENDER_REFUSED, r"\bCXSNDR\b"),
    _marks(Reason.CONTENT_REFUSED, r"\bURLBL\d{1,4}\b", r"\bCXMJ\b"),
    # Where lists and reputation services explain themselves
    _marks(Reason.BLOCKLISTED, r"ipcheck\.proofpoint\.com", r"csi\.cloudmark\.com", r"spamhaus\.(?:org|com)", r"spamcop\.net", r"barracudacentral\.org", r"uceprotect\.net", r"mail-abuse\.(?:com|org)", r"rbl\.\w"),
    _marks(Reason.LOW_REPUTATION, r"senderbase\.org", r"talosintelligence\.com", r"senderscore\.\w", r"barracudanetworks\.com/reputation", r"\bIP=\S{4,45} - A problem occurred"),
    _marks(Reason.CONTENT_REFUSED, r"(?:surbl|uribl)\.(?:org|com)"),
    _marks(Reason.SPF_FAILED, r"open-?spf\.(?:org|net)"),
)  # fmt: skip


def reason_of(text: str) -> Reason | None:
    """Return what a documented code in `text` means, or None."""
    return next((reason for reason, pattern in MARKS if pattern.search(text)), None)
