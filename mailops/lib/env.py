"""Reads settings from the environment and reports all wrong values at once, each with its fix."""

import base64
import binascii
import ipaddress
import os
import re
import shutil
import ssl
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import nan
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from mailops.lib.whole_numbers import whole_number

T = TypeVar("T")

# without the port: it may be a piece of a password
NO_PORT = "its port is none; ports are 1 to 65535"

OURS = "MAILOPS_"
# in which credentials are given; each is called as its transport wants
GIVEN_SECRETS = "MAILOPS_SECRET_"
# a name without a domain and an address of IPv4 among them; what it looks like in an address is none of it
_HOST = re.compile(r"\w([\w-]{0,61}\w)?(\.\w([\w-]{0,61}\w)?)*\.?")
# in a container whose service is called mailops, Kubernetes sets MAILOPS_PORT and others to such addresses
_SERVICE = re.compile(r"(tcp|udp|sctp)://")

BROKER_SCHEMES = frozenset({"pgmq", "redis", "rediss", "amqp", "amqps"})


class WrongSettings(ImproperlyConfigured):
    """Some settings can't be used; the text names every one of them, each with its fix."""


class Environment:
    """Reads typed values from `variables`; `finish()` raises WrongSettings with every problem found."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables
        self._asked: set[str] = set()
        self.problems: list[str] = []

    def has(self, name: str) -> bool:
        self._asked.add(name)
        return bool(self._variables.get(name, "").strip())

    def given(self, *names: str) -> dict[str, str]:
        """Return those of the variables that are set, as they were written."""
        return {name: self._variables[name] for name in names if self.has(name)}

    def read(self, name: str, parse: Callable[[str], T], default: T, *, fix: str) -> T:
        """Return the parsed value of `name`, or `default` where it is unset, empty or wrong."""
        if not self.has(name):
            return default
        try:
            return parse(self._variables[name].strip())
        except ValueError as error:
            self.complain(f"{name}: {error}", fix)
            return default

    def complain(self, problem: str, fix: str) -> None:
        self.problems.append(f"{problem}. Fix: {fix}" if fix else problem)

    def finish(self) -> None:
        """Raise WrongSettings naming every wrong value and misspelt name, if there is one."""
        self._complain_of_misspelt()
        if self.problems:
            raise WrongSettings(
                "These settings are wrong:\n"
                + "\n".join(f"- {problem}" for problem in self.problems)
            )

    def _complain_of_misspelt(self) -> None:
        """Name what was set and never asked for, but is nearly called like a setting: it would count for nothing."""
        settings = {name.removeprefix(OURS): name for name in sorted(self._asked)}
        for name in sorted(self._variables.keys() - self._asked):
            is_ours = name.startswith(OURS) and not name.startswith(GIVEN_SECRETS)
            if is_ours and not _SERVICE.match(self._variables[name]):
                for near in get_close_matches(name.removeprefix(OURS), settings, n=1, cutoff=0.8):
                    self.complain(f"{name}: there is no such setting", f"write {settings[near]}")


def flag(raw: str) -> bool:
    if raw.lower() in {"1", "yes", "true", "on"}:
        return True
    if raw.lower() in {"0", "no", "false", "off"}:
        return False
    raise ValueError(f"“{raw}” is neither 1 nor 0")


def word_of(*words: str) -> Callable[[str], str]:
    """Return a parser that lets exactly these words through."""

    def parse(raw: str) -> str:
        if raw not in words:
            raise ValueError(f"“{raw}” is none of {', '.join(words)}")
        return raw

    return parse


def whole(what: str, *, least: int, most: int) -> Callable[[str], int]:
    """Return a parser that lets the whole numbers from `least` to `most` through; `what` says what others are not."""

    def parse(raw: str) -> int:
        given = whole_number(raw)
        if given is None or not least <= given <= most:
            raise ValueError(f"“{raw}” is no {what}")
        return given

    return parse


port_number = whole("port; ports are 1 to 65535", least=1, most=65_535)
days = whole("number of days", least=1, most=36_499)
minutes = whole("number of minutes, 15 or more", least=15, most=999_999)
proxies = whole("number of proxies", least=0, most=9)
mail_megabytes = whole("number of megabytes from 1 to 7", least=1, most=7)


def port_or_any(raw: str) -> int:
    """Return a port to listen at; 0 is any free one."""
    return 0 if raw == "0" else port_number(raw)


def number(*, least: float, most: float) -> Callable[[str], float]:
    """Return a parser that lets the numbers from `least` to `most` through."""

    def parse(raw: str) -> float:
        try:
            given = float(raw)
        except ValueError:
            given = nan
        if not least <= given <= most:  # nor is nan
            raise ValueError(f"“{raw}” is no number from {least:g} to {most:g}")
        return given

    return parse


_percent = number(least=0, most=100)


def shares_of(*names: str) -> Callable[[str], dict[str, float]]:
    """Return a parser of shares that only these names have: {"gmail": 40.0} for "gmail=40"."""

    def parse(raw: str) -> dict[str, float]:
        found = {}
        for part in listed(raw):
            name, equals, percent = (each.strip() for each in part.partition("="))
            if not equals:
                raise ValueError(f"“{part}” is not name=percent")
            found[word_of(*names)(name)] = _percent(percent)
        if round(sum(found.values())) > 100:
            raise ValueError(f"“{raw}” is {sum(found.values()):g} % together")
        return found

    return parse


def listed(raw: str) -> list[str]:
    """Return the parts of a list written with commas."""
    return [part for part in (part.strip() for part in raw.split(",")) if part]


def host_and_port(raw: str, read_port: Callable[[str], int] = port_number) -> tuple[str, int]:
    """Return ("::1", 25) for "[::1]:25"; the host in lower case."""
    host, colon, port = raw.rpartition(":")
    if not colon or not _is_host(host):
        raise ValueError(f"“{raw}” is not host:port")
    return host.strip("[]").lower(), read_port(port)


def _is_host(raw: str) -> bool:
    """Tell whether it is a name, an address of IPv4, or one of IPv6 in brackets."""
    if not raw.startswith("["):
        return bool(_HOST.fullmatch(raw))
    try:
        return raw.endswith("]") and bool(ipaddress.IPv6Address(raw[1:-1]))
    except ValueError:
        return False


def allowed_hosts(raw: str) -> list[str]:
    """Return hosts as Django allows them: “.example.com” is all below it, too, and “*” is any."""
    hosts = listed(raw)
    for host in hosts:
        if host != "*" and not _is_host(host.removeprefix(".")):
            raise ValueError(f"“{host}” is not a host name")
    return hosts


def is_loopback(raw: str) -> bool:
    """Tell whether nobody but this machine gets to host:port."""
    host, _ = host_and_port(raw)
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listener(raw: str) -> str:
    host_and_port(raw)
    return raw.lower()


def listener_or_socket(raw: str) -> str:
    """Return host:port, or the path of a Unix socket."""
    return raw if raw.startswith("/") else listener(raw)


def file_endings(raw: str) -> list[str]:
    endings = [part.lower().lstrip(".") for part in listed(raw)]
    for ending in endings:
        if not (ending.isascii() and ending.isalnum()):
            raise ValueError(f"“{ending}” is no ending of a file name")
    return endings


def listeners(raw: str) -> list[str]:
    return [listener(part) for part in listed(raw)]


def host_port_pairs(raw: str) -> frozenset[tuple[str, int]]:
    return frozenset(host_and_port(part) for part in listed(raw))


def host_name(raw: str) -> str:
    labels = raw.lower().rstrip(".").split(".")
    plain = all(label.isascii() and label.replace("-", "a").isalnum() for label in labels)
    if not plain or not _is_host(raw) or len(labels) < 2 or labels[-1].isdigit():
        raise ValueError(f"“{raw}” is not a host name")
    return ".".join(labels)


def host_names(raw: str) -> list[str]:
    """Return a list of host names; the word none means that there is none."""
    return [] if raw == "none" else [host_name(part) for part in listed(raw)]


def trust_anchors(raw: str) -> list[str]:
    """Return lines of a zone and the DS of a key of it; the word none means that there is none."""
    lines = [] if raw == "none" else listed(raw)
    for line in lines:
        zone, _, data = line.partition(" ")
        try:
            dns.name.from_text(zone)
            dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DS, data)
        except (dns.exception.DNSException, ValueError):
            raise ValueError(f"“{line[:60]}” is not a trust anchor") from None
    return lines


def base_url(raw: str) -> str:
    """Return the address without a slash at its end; http is let through for this machine only."""
    try:
        parts = urlsplit(raw)
        host = parts.hostname or ""
        address = f"[{host}]" if ":" in host else host
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:  # of its port, or its brackets
        raise ValueError(f"“{raw}” is not an address such as https://mail.example.com") from None
    is_whole = raw.rstrip("/").lower() == f"{parts.scheme}://{address}{port}"
    if parts.scheme not in {"http", "https"} or not is_whole or not _is_host(address):
        raise ValueError(f"“{raw}” is not an address such as https://mail.example.com")
    is_ours = host in {"127.0.0.1", "::1", "localhost"} or host.endswith(".localhost")
    if parts.scheme == "http" and not is_ours:
        raise ValueError(f"“{raw}” is public, and http lets anyone read and forge what passes")
    return raw.rstrip("/")


def folder(raw: str) -> Path:
    path = Path(raw).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is not a folder")
    return path


def existing_folder(raw: str) -> Path:
    path = folder(raw)
    if not path.is_dir():
        raise ValueError(f"{path} does not exist")
    return path


def folder_with(*names: str) -> Callable[[str], Path]:
    """Return a parser that lets the folders through that hold these files."""

    def parse(raw: str) -> Path:
        path = existing_folder(raw)
        if missing := [name for name in names if not (path / name).exists()]:
            raise ValueError(f"{path} holds no {' and no '.join(missing)}")
        return path

    return parse


def file_beside_others(raw: str) -> Path:
    """Return the path of a file, there or not, in a folder that is there."""
    path = Path(raw).expanduser().absolute()
    if path.is_dir():
        raise ValueError(f"{path} is a folder")
    if not path.parent.is_dir():
        raise ValueError(f"the folder {path.parent} does not exist")
    return path


def certificates(raw: str) -> Path:
    """Return the path of a file of PEM certificates."""
    path = Path(raw).expanduser().absolute()
    try:
        ssl.create_default_context().load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(f"{path} holds no certificates") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    return path


def program(raw: str) -> str:
    """Return the path of a program, given by its path or by its name on the PATH."""
    found = shutil.which(str(Path(raw).expanduser()))
    if not found:
        raise ValueError(f"“{raw}” is no program that can be started")
    return found


def key(raw: str) -> str:
    """Return `raw` if it is the base64 of 32 bytes; the error never repeats it."""
    try:
        size = len(base64.b64decode(raw, validate=True))
    except binascii.Error:
        raise ValueError("a key in it is not base64") from None
    if size != 32:
        raise ValueError(f"a key in it has {size} bytes instead of 32")
    return raw


def keys(raw: str) -> list[str]:
    found = [key(part) for part in listed(raw)]
    if not found:
        raise ValueError("no key is in it")
    return found


def named_keys(raw: str) -> dict[str, str]:
    """Return {"k1": key} for "k1:key,…", in the order given."""
    named = {}
    for part in listed(raw):
        name, _, value = part.partition(":")
        if not (name.isascii() and name.isalnum() and len(name) <= 8 and value):
            raise ValueError("a part of it is not id:key with an id of 1 to 8 letters and digits")
        if name in named:
            raise ValueError(
                f"two keys in it are called {name}, and what one signed the other refuses"
            )
        named[name] = key(value)
    if not named:
        raise ValueError("no key is in it")
    return named


def long_secret(raw: str) -> str:
    if len(raw) < 40:
        raise ValueError(f"it has {len(raw)} characters, which can be guessed")
    return raw


def broker_url(raw: str) -> str:
    scheme = raw.partition("://")[0]
    if "://" not in raw or scheme not in BROKER_SCHEMES:
        raise ValueError(f"it must begin with one of {', '.join(sorted(BROKER_SCHEMES))}, then ://")
    try:
        urlsplit(raw).port  # noqa: B018 - read where it is asked for
    except ValueError:
        raise ValueError(NO_PORT) from None
    return raw


def database(raw: str) -> dict[str, Any]:
    """Return Django's entry for a postgresql:// URL, read by libpq itself; errors never repeat it."""
    if not raw.startswith(("postgresql://", "postgres://")):
        raise ValueError("it does not begin with postgresql://")
    try:
        given = conninfo_to_dict(raw)
    except psycopg.ProgrammingError:
        raise ValueError("it is not a URL that PostgreSQL understands") from None
    if not given.get("dbname"):
        raise ValueError("it names no database")
    for port in listed(str(given.get("port", ""))):  # of several servers, several
        if whole_number(port) not in range(1, 65_536):
            raise ValueError(NO_PORT)
    return {
        "NAME": given.pop("dbname"),
        "USER": given.pop("user", ""),
        "PASSWORD": given.pop("password", ""),
        "HOST": given.pop("host", ""),
        "PORT": given.pop("port", ""),
        "OPTIONS": given,
    }
