"""One-click unsubscribe: header fields (RFC 2369, 3.2; RFC 8058) and the signed token in their addresses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from mailops.protocol import signing

ONE_CLICK = "List-Unsubscribe=One-Click"  # the form field of a one-click POST (RFC 8058, 3.2)
MAIL_PREFIX = "u+"

# how addresses of pages to leave by are called
_LEAVING = re.compile(
    r"unsubscri|opt[-_]?out|e?mail[-_]?preferences|preference[-_]?cent|abmeld|abbestell|austrag|d[ée]sabonn|d[ée]sinscri"
    r"|desuscri|dar[-_]?(?:se[-_]?)?de[-_]?baja|descadastr|disiscri|afmeld|uitschrijv|avregistr|avmeld|wypis|отпис",
    re.IGNORECASE,
)
_TOKEN = re.compile(rf"([0-9a-f]{{32}})\.([a-z2-7]{{{signing.LENGTH}}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    """Whose message asks to leave; worth nothing until `is_signed_by` says so."""

    public_id: UUID
    signature: str

    def is_signed_by(self, key: bytes) -> bool:
        return signing.is_signed("unsubscribe", self.public_id.hex, self.signature, key)


def make_token(public_id: UUID, key: bytes) -> str:
    return f"{public_id.hex}.{signing.sign('unsubscribe', public_id.hex, key)}"


def parse_token(text: str) -> UnsubscribeToken | None:
    """Return the token that `text` is, or None; the signature is not checked yet."""
    found = _TOKEN.fullmatch(text.strip().lower()) if len(text) <= 200 else None
    return UnsubscribeToken(UUID(hex=found[1]), found[2]) if found else None


def make_mail_address(public_id: UUID, host: str, key: bytes) -> str:
    """Return the address to which a mail unsubscribes the message's recipient."""
    return f"{MAIL_PREFIX}{make_token(public_id, key)}@{host}"


def parse_mail_address(address: str) -> UnsubscribeToken | None:
    """Return the token in the recipient of an unsubscribe mail, or None."""
    local_part, at, _ = address.strip().strip("<>").rpartition("@")
    if not at or not local_part.lower().startswith(MAIL_PREFIX):
        return None
    return parse_token(local_part[len(MAIL_PREFIX) :])


def header_values(url: str, mail_address: str = "") -> dict[str, str]:
    """Return the two header fields of a mail that can be unsubscribed from with one click.

    RFC 8058, 3.1: the URL is https, and a DKIM signature covers both fields.
    """
    mail = f"<mailto:{mail_address}?subject=unsubscribe>, " if mail_address else ""
    return {
        "List-Unsubscribe": f"{mail}<{url}>",
        "List-Unsubscribe-Post": ONE_CLICK,
    }


def is_one_click(fields: Mapping[str, str]) -> bool:
    """Tell whether a form's fields are the one-click POST of a mailbox provider (RFC 8058, 3.2)."""
    return fields.get("List-Unsubscribe", "").lower() == "one-click"


def leads_to_leaving(address: str) -> bool:
    """Tell whether the address of a page sounds as if one leaves there, so that nobody may stand in its way."""
    return _LEAVING.search(address) is not None
