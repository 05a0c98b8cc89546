"""What a client asks of notifications with MAIL and RCPT (RFC 3461, 4): RET and ENVID, NOTIFY and ORCPT."""

import re
from dataclasses import dataclass

MAIL_PARAMETERS = ("RET", "ENVID")
RCPT_PARAMETERS = ("NOTIFY", "ORCPT")

_OUTSIDE_XTEXT = re.compile(r"[^!-*,-<>-~]")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+", re.ASCII)
_OCTET = re.compile(r"\+([0-9A-F]{2})")
_ORCPT = re.compile(r"([A-Za-z0-9-]{1,40});(.+)", re.ASCII)
_EVENTS = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_UNASKED = frozenset({"FAILURE", "DELAY"})  # what a server tells a client that says nothing


class NotUnderstood(ValueError):
    """A parameter that breaks the RFC; the text names it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What one RCPT asks for: notifications of these events, and the address to call the recipient by."""

    notify: frozenset[str] = _UNASKED  # empty: NEVER
    orcpt: str = ""  # `type;address`, decoded; empty: not given

    def __str__(self) -> str:
        return ",".join(sorted(self.notify)) or "NEVER"


def split_parameters(argument: str, names: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Return the argument of a command without the parameters of these names, and their values."""
    found: dict[str, str] = {}
    rest: list[str] = []
    for word in argument.split(" "):
        name, equals, value = word.partition("=")
        if not equals or name.upper() not in names:
            rest.append(word)
        elif name.upper() in found:
            raise NotUnderstood(f"{name.upper()} is given twice")
        else:
            found[name.upper()] = value
    return " ".join(rest), found


def read_envid(parameters: dict[str, str]) -> str:
    """Return the ENVID of a MAIL command, empty where it has none; raise NotUnderstood."""
    if parameters.get("RET", "HDRS").upper() not in {"FULL", "HDRS"}:
        raise NotUnderstood("RET is neither FULL nor HDRS")
    given = parameters.get("ENVID")
    if given is None:
        return ""
    if len(given) > 100:
        raise NotUnderstood("ENVID has more than 100 characters")
    return from_xtext(given, "ENVID")


def read_notice(parameters: dict[str, str]) -> Notice:
    """Return what a RCPT command asks for; raise NotUnderstood."""
    notify, orcpt = _UNASKED, ""
    if "NOTIFY" in parameters:
        words = parameters["NOTIFY"].upper().split(",")
        notify = frozenset(() if words == ["NEVER"] else words)
        if not notify <= _EVENTS:
            raise NotUnderstood("NOTIFY is neither NEVER nor a list of SUCCESS, FAILURE and DELAY")
    if "ORCPT" in parameters:
        found = _ORCPT.fullmatch(parameters["ORCPT"])
        if found is None or len(parameters["ORCPT"]) > 500:
            raise NotUnderstood("ORCPT is no type;address of at most 500 characters")
        orcpt = f"{found[1]};{from_xtext(found[2], 'ORCPT')}"
    return Notice(notify, orcpt)


def xtext(text: str) -> str:
    """Return `text` as it may stand in a parameter."""
    return _OUTSIDE_XTEXT.sub(
        lambda found: "".join(f"+{octet:02X}" for octet in found[0].encode()), text
    )


def from_xtext(given: str, name: str) -> str:
    """Return what `xtext` was given; raise NotUnderstood where it is none, or hides what no field may carry."""
    if not _XTEXT.fullmatch(given):
        raise NotUnderstood(f"{name} is not xtext")
    octets = _OCTET.sub(lambda found: chr(int(found[1], 16)), given).encode("latin-1")
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise NotUnderstood(f"{name} is not UTF-8") from None
    if not text.isprintable():
        raise NotUnderstood(f"{name} has a control character in it")
    return text
