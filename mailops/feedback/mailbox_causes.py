"""Why a mailbox can't be read: each cause with the sentence that says what it is and what to do."""

from collections.abc import Mapping

from mailops.transports.causes import CAUSES as OF_TRANSPORTS
from mailops.transports.causes import Cause

_OWN: Mapping[str, Cause] = {
    "timeout": Cause(
        "The server did not answer in time.",
        "Check host and port, and whether a firewall drops the connection; IMAP is at 993 with implicit TLS or 143 with STARTTLS.",
    ),
    "no_tls": Cause(
        "The server did not offer STARTTLS.",
        "Use port 993 with implicit TLS; if it offered it yesterday, something on the way may be removing it."
        " Nothing was sent in clear text.",
    ),
    "tls_failed": Cause(
        "No secure connection could be made.",
        "Check that port and TLS belong together: 993 is implicit TLS, 143 is STARTTLS; the server must speak TLS 1.2 or later.",
    ),
    "clear_text_auth": Cause(
        "There is a password, but the connection is not encrypted.",
        "Choose implicit TLS or STARTTLS; a password is said in clear text to trusted relays alone.",
    ),
    "auth_not_offered": Cause(
        "The server lets nobody log in with a password here.",
        "Choose TLS, or log in by OAuth 2.0: Gmail and Microsoft 365 take no plain passwords.",
    ),
    "auth_failed": Cause(
        "The server refused the log-in.",
        "Set user name and password again. Gmail wants an app password, and IMAP switched on in the mailbox's settings.",
    ),
    "auth_busy": Cause(
        "The server could not check the log-in just now.",
        "Nothing needs to be changed; it is tried again.",
    ),
    "oauth_refused": Cause(
        "The server refused the access token.",
        "Check that the user name is the mailbox that signed in, and that the permission covers IMAP:"
        " Microsoft 365 wants IMAP.AccessAsUser.All among the app's permissions and in the credential's scope.",
    ),
    "oauth_revoked": Cause(
        "The permission to read this mailbox is gone.",
        "Sign in again on the credential's page.",
    ),
    "oauth_not_offered": Cause(
        "The server offers no log-in by OAuth 2.0 (XOAUTH2).", "Check the host, or use a password."
    ),
    "credential": Cause(
        "There is no password that opens for this host, port and TLS.", "Enter it again."
    ),
    "folder_missing": Cause(
        "There is no such folder in the mailbox.",
        "Write its name as the server does, with its separator, such as INBOX/Bounces or INBOX.Bounces.",
    ),
    "target_missing": Cause(
        "The folder that mails are moved to is missing or can't be written.",
        "Make it in the mailbox, or choose another. What comes is read and stored meanwhile, and moved then.",
    ),
    "mail_refused": Cause(
        "The server does not hand out a mail that it holds.",
        "All others are read, and it is asked for again by itself. If it stays so, find the mail by the UID in the"
        " technical text, and mend, move or delete it in the mailbox.",
    ),
    "read_only": Cause(
        "The folder may be read but not changed.",
        "Give the user the right to mark and delete mails in it.",
    ),
    "dropped": Cause(
        "The server closed the connection.",
        "It is tried again; if it stays so, check whether the server limits connections or IMAP is switched off.",
    ),
    "protocol": Cause(
        "The answer was not IMAP.", "Check host and port: another service may listen there."
    ),
}
CAUSES: Mapping[str, Cause] = {**OF_TRANSPORTS, **_OWN}


def cause_of(name: str) -> Cause:
    """Return a cause by its name; one that nobody described yet has a sentence too."""
    unknown = Cause("The mailbox could not be read.", "See the technical text; it is tried again.")
    return CAUSES.get(name, unknown)
