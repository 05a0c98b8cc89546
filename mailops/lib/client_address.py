"""Who calls: the address of a client, however many proxies of our own stand before us."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from django.conf import settings

_WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([\d.]+):\d+")


def client_address(environ: Mapping[str, Any]) -> str:
    """Return the address that a request (WSGI's environ) is from, as the outermost of our proxies saw it.

    Anybody may write X-Forwarded-For; only its last entries, one by each of MAILOPS_TRUSTED_PROXIES, are our proxies'.
    """
    peer = str(environ.get("REMOTE_ADDR", ""))
    proxies: int = settings.MAILOPS_TRUSTED_PROXIES
    seen = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if not 0 < proxies <= len(seen):
        return peer
    return _address_in(seen[-proxies].strip()) or peer


def _address_in(said: str) -> str:
    """Return the address that a proxy wrote, with or without a port; "" where it is none."""
    found = _WITH_PORT.fullmatch(said)
    try:
        return str(ip_address(found[1] or found[2] if found else said)).partition("%")[0]
    except ValueError:
        return ""
