"""What follows from a reason: whose fault it is, what to do, and what must stop."""

from dataclasses import dataclass
from enum import StrEnum


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


# What we must mend ourselves: such a refusal is no bounce of the recipient's.
OUR_FAULTS = frozenset({Fault.AUTHENTICATION, Fault.REPUTATION, Fault.SETUP})


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
    TLS_FAILED = "tls_failed"
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
    Reason.TLS_FAILED: Meaning(
        Fault.OUTAGE,
        "No secure connection to the recipient's server could be made: TLS is missing there, or its certificate is wrong.",
        "Wait and retry; if it lasts, tell its postmaster what the technical text says.",
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
