"""Puts the pictures that a mail shows by `cid:` into its HTML, for frames and drawings that may load nothing."""

import base64
import re
from functools import reduce
from operator import or_

from django.db.models import Q

from mailops.content.file_types import type_of_picture
from mailops.content.models import FileContent
from mailops.lib.foreign_html import with_pictures

_CID = re.compile(r"cid:([0-9a-f]{32})@mailops")
_NONE = "data:,"
_LOST = re.compile(r"([\"'=(]\s{0,20})cid:[^\"'<>()\s]{0,400}", re.IGNORECASE)
MOST = 50  # pictures in one mail


def embedded(html: str) -> str:
    """Return `html` with each picture that is kept here as a data: URL, and without the addresses of others."""
    hashes = sorted(set(_CID.findall(html)))[:MOST]
    if hashes:
        html = _with_pictures(html, hashes)
    return _LOST.sub(rf"\1{_NONE}", html)


def _with_pictures(html: str, hashes: list[str]) -> str:
    wanted = reduce(or_, (Q(sha256__startswith=each) for each in hashes))
    found = FileContent.objects.filter(wanted).values_list("sha256", "content")
    urls = {sha256[:32]: _data_url(bytes(content)) for sha256, content in found}
    return with_pictures(html, _CID, urls)


def _data_url(content: bytes) -> str:
    content_type = type_of_picture(content)
    return (
        f"data:{content_type};base64,{base64.b64encode(content).decode()}"
        if content_type
        else _NONE
    )
