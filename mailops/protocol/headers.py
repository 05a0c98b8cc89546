"""Header fields a person may add to a message (RFC 5322, 2.2): only those that can't smuggle or overrule another."""

import re

_NAME = re.compile(r"[A-Za-z0-9-]{1,76}", re.ASCII)
_LINE_LENGTH = 998  # octets, without CRLF (RFC 5322, 2.1.1)

RESERVED = frozenset(
    {
        "apparently-to",
        "auto-submitted",
        "authentication-results",
        "bcc",
        "cc",
        "date",
        "dkim-signature",
        "disposition-notification-to",
        "errors-to",
        "feedback-id",
        "from",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "message-id",
        "mime-version",
        "received",
        "received-spf",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
        "x-metadata",
        "x-tag",
    }
)
RESERVED_PREFIXES = ("arc-", "content-", "resent-", "x-mailops-", "x-ses-")


class UnsafeHeader(ValueError):
    """Says in one sentence why a header field can't be added."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def check_header(name: str, value: str) -> None:
    """Raise UnsafeHeader unless the field is one that may be added to a message."""
    if not _NAME.fullmatch(name):
        raise UnsafeHeader("A header's name is 1 to 76 letters, digits and hyphens.")
    if name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES):
        raise UnsafeHeader(f"{name} is set by mailops itself.")
    check_value(name, value)


def check_value(name: str, value: str) -> None:
    """Raise UnsafeHeader where the value of any header, ours too, would break the message."""
    if any(letter in value for letter in "\r\n\0"):
        raise UnsafeHeader(f"{name} has a line break or a NUL in it.")
    if any(ord(letter) < 32 and letter != "\t" for letter in value) or "\x7f" in value:
        raise UnsafeHeader(f"{name} has a control character in it.")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise UnsafeHeader(f"{name} has a character that is not Unicode text.")
    if len(value.encode()) > 10 * _LINE_LENGTH:
        raise UnsafeHeader(f"{name} is longer than a header can be.")
