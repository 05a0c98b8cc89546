"""Puts the pictures that a mail shows by `cid:` into its HTML, for frames and drawings that may load nothing."""

import base64
import re
from functools import reduce
from operator import or_

from django.db.models import Q

from mailops.content.models import FileContent
from mailops.lib.foreign_html import with_pictures

_CID = re.compile(r"cid:([0-9a-f]{32})@mailops")
_LOST = re.compile(r"([\"'=(]\s{0,20})cid:[^\"'<>()\s]{0,400}", re.IGNORECASE)
MOST = 50  # pictures in one mail
_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


def embedded(html: str) -> str:
    """Return `html` with each picture that is kept here as a data: URL, and without the addresses of others."""
    hashes = sorted(set(_CID.findall(html)))[:MOST]
    if hashes:
        html = _with_pictures(html, hashes)
    return _LOST.sub(r"\1data:,", html)


def _with_pictures(html: str, hashes: list[str]) -> str:
    wanted = reduce(or_, (Q(sha256__startswith=each) for each in hashes))
    found = FileContent.objects.filter(wanted).values_list("sha256", "content")
    urls = {sha256[:32]: _data_url(bytes(content)) for sha256, content in found}
    return with_pictures(html, _CID, urls)


def _data_url(content: bytes) -> str:
    for start, content_type in _TYPES.items():
        if content.startswith(start):
            return f"data:{content_type};base64,{base64.b64encode(content).decode()}"
    return "data:,"
