"""What can be wrong with a way out: each cause with the sentence that says what it is and what to do."""

from dataclasses import dataclass

from mailops.lib.one_line import one_line
from mailops.protocol.reply import Reply
from mailops.transports.sessions import Phase, SessionFault

QUOTED = 200  # characters of a reply; the whole of it stands beside the sentence


@dataclass(frozen=True, slots=True)
class Cause:
    what: str
    fix: str

    @property
    def sentence(self) -> str:
        return f"{self.what} {self.fix}"


CAUSES: dict[str, Cause] = {
    "not_found": Cause("The host name has no address.", "Check the spelling of the host."),
    "dns_silent": Cause(
        "No name server answered for the host name.",
        "Check this machine's name servers, or name others in MAILOPS_NAMESERVERS.",
    ),
    "not_allowed": Cause(
        "The host is not a public address.",
        "Give a public host, or name this exact host and port in MAILOPS_TRUSTED_RELAYS.",
    ),
    "not_trusted": Cause(
        "Clear text is only spoken to trusted relays.",
        "Choose STARTTLS or implicit TLS, or name this exact host and port in MAILOPS_TRUSTED_RELAYS.",
    ),
    "refused": Cause(
        "The connection was refused.",
        "Check host and port, and whether a firewall stands between.",
    ),
    "timeout": Cause(
        "The server did not answer in time.",
        "Check host and port, and whether a firewall drops the connection; where 587 is blocked, providers offer 465 or 2525.",
    ),
    "unreachable": Cause(
        "The server can't be reached from here.", "Check the network, the route and the firewall."
    ),
    "no_tls": Cause(
        "The server did not offer STARTTLS.",
        "Use port 587 with STARTTLS or port 465 with implicit TLS; if it offered it yesterday, "
        "something on the way may be removing it. Nothing was sent in clear text.",
    ),
    "no_tls_trusted": Cause(
        "The server did not offer STARTTLS.",
        "Choose TLS “None”, without a credential: it is a trusted relay, so clear text is allowed. If it offered "
        "STARTTLS yesterday, something on the way may be removing it. Nothing was sent in clear text.",
    ),
    "tls_stripped": Cause(
        "The server takes STARTTLS, but its offer does not arrive: something on the way removes it.",
        "A firewall that inspects SMTP does that, and so does somebody who listens: have the inspection switched off, "
        "or use port 465 with implicit TLS, which can't be talked out of TLS. Nothing was sent in clear text.",
    ),
    "tls_expired": Cause(
        "The server's certificate has expired.",
        "Whoever runs the server must renew it; if the provider says it is valid, check this machine's clock.",
    ),
    "tls_name": Cause(
        "The server's certificate is for another name.",
        "Give the host exactly as the provider names it, not an address or an alias of it.",
    ),
    "tls_issuer": Cause(
        "The server's certificate was not issued by an authority this machine trusts.",
        "For a relay of your own, name its authority's file in MAILOPS_EXTRA_CA_FILE; for a provider, something on the way may be listening.",
    ),
    "tls_self_signed": Cause(
        "The server's certificate vouches for itself alone.",
        "For a relay of your own, name the certificate's file in MAILOPS_EXTRA_CA_FILE; a provider never has one, so something on the way may be listening.",
    ),
    "tls_old": Cause(
        "The server speaks only versions of TLS that are no longer safe.",
        "Whoever runs the server must switch on TLS 1.2 or later; until then send through another.",
    ),
    "needs_implicit_tls": Cause(
        "The server does not greet in clear text: this port speaks TLS from the first octet, as 465 does.",
        "Choose implicit TLS for this port, or port 587 with STARTTLS.",
    ),
    "needs_starttls": Cause(
        "The server greets in clear text, so implicit TLS can't begin.",
        "Choose STARTTLS for this port, or port 465 with implicit TLS.",
    ),
    "port_25": Cause(
        "Port 25 does not answer; most networks block it.",
        "Use port 587 with STARTTLS, 465 with implicit TLS, or 2525 where the provider offers it.",
    ),
    "tls_failed": Cause(
        "No secure connection could be made.",
        "Check that port and TLS belong together: 587 is STARTTLS, 465 is implicit TLS; the server must speak TLS 1.2 or later.",
    ),
    "clear_text_auth": Cause(
        "There is a credential, but the connection is not encrypted.",
        "Choose STARTTLS or implicit TLS, or remove the credential; a password is never sent in clear text.",
    ),
    "auth_not_offered": Cause(
        "The server offers no log-in that mailops knows (PLAIN, LOGIN, CRAM-MD5).",
        "Check the port: 587 and 465 are for logging in, 25 is between servers.",
    ),
    "needs_oauth": Cause(
        "The server takes no passwords, only log-ins by OAuth 2.0 (XOAUTH2).",
        "Add a credential that signs in by OAuth 2.0 instead.",
    ),
    "auth_failed": Cause(
        "The server refused the log-in.",
        "Most often the password or key was rotated or belongs to another region: set it again under Credentials.",
    ),
    "auth_required": Cause(
        "The server wants a log-in first.",
        "Add a credential, and check that endpoint and TLS are the ones the provider names.",
    ),
    "oauth_refused": Cause(
        "The server refused the access token.",
        "Check that the user name is the mailbox that signed in, and that it may send by SMTP: Microsoft 365 has a switch for authenticated SMTP on each mailbox.",
    ),
    "oauth_revoked": Cause(
        "The permission to send as this mailbox is gone.",
        "Sign in again on the credential's page; the provider's words are below.",
    ),
    "oauth_away": Cause(
        "There is no access token just now: the provider could not be asked for one.",
        "It is asked again by itself; see the credential's page for its last answer.",
    ),
    "oauth_not_offered": Cause(
        "The server offers no log-in by OAuth 2.0 (XOAUTH2).",
        "Check the host, or use a credential with a password.",
    ),
    "auth_busy": Cause(
        "The server could not check the log-in just now.",
        "Nothing needs to be changed; it is tried again.",
    ),
    "credential": Cause(
        "The stored secret can't be read.", "Set the secret of the credential again."
    ),
    "unavailable": Cause(
        "The server is not available just now.", "It is tried again; its reply says why."
    ),
    "rejected": Cause(
        "The server refused to talk to us.",
        "See its reply: often this address is blocked or not allowed to use the server.",
    ),
    "dropped": Cause(
        "The server closed the connection.",
        "Check that port and TLS belong together, and whether the server limits connections.",
    ),
    "protocol": Cause(
        "The answer was not SMTP.", "Check host and port: another service may listen there."
    ),
    "api_refused": Cause(
        "The provider refused the request.",
        "See its answer: check the key, its rights, the region and the account's state.",
    ),
    "sender_refused": Cause(
        "The server refused the sender address.",
        "Verify the domain with the provider, or use a sender of a verified domain.",
    ),
    "recipient_refused": Cause(
        "The server refused the test recipient.",
        "If the reply speaks of relaying, the log-in or the endpoint is the wrong one.",
    ),
}


def better_cause(cause: str, phase: Phase, port: int, security: str) -> str:
    """Return the cause behind `cause` where port and security give it away."""
    if port == 25 and cause == "timeout" and phase is Phase.CONNECT:
        return "port_25"
    if phase is Phase.BANNER and security == "starttls" and port == 465:
        return "needs_implicit_tls"
    if phase is Phase.TLS and security == "tls" and cause == "tls_failed" and port != 465:
        return "needs_starttls"
    return cause


def fault_of(phase: Phase, cause: str, detail: str, reply: Reply | None = None) -> SessionFault:
    """Return the fault of a session for a cause; one that nobody described yet is that the server can't be reached."""
    cause = cause if cause in CAUSES else "unreachable"
    sentence = sentence_of(cause, detail if reply else "")
    return SessionFault(phase, cause, sentence, detail, reply)


def sentence_of(cause: str, said: str = "") -> str:
    """Return what is wrong and what to do, and in one short line what the server `said` of it."""
    quoted = one_line(said, QUOTED)
    if not quoted:
        return CAUSES[cause].sentence
    return f"{CAUSES[cause].sentence} It said: “{quoted}”."
