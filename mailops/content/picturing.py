"""Draws mails in Chromium, light and dark, wide and narrow, and keeps the pictures by what was drawn."""

import hashlib
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from mailops.content.differing import State
from mailops.content.embedding import embedded
from mailops.content.framing import in_scheme
from mailops.content.models import Picture
from mailops.content.rendering import RenderError
from mailops.lib.foreign_html import without_connections
from mailops.lib.locks import session_lock

SHAPES = [("light", 600), ("dark", 600), ("light", 375), ("dark", 375)]
HEIGHT = 1200  # pixels; what is below is left out
PATIENCE = 60  # seconds for one picture, which takes one where nothing else runs
MAX_IMAGE = 8_000_000  # octets
# It may run nothing and reach nothing; pictures that stand in the mail itself are shown.
_POLICY = "<meta charset=utf-8><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:\">"
_HAS_DARK = re.compile(
    r"prefers-color-scheme\s*:\s*dark|color-scheme[^;>]{0,60}dark", re.IGNORECASE
)
# A refresh would lead on, to a file of this machine, say: no element of a mail gives orders here.
_ORDERS = re.compile(r"http-equiv(?=\s*=)", re.IGNORECASE)
_DOCTYPE = re.compile(r"\A\s*<!doctype[^>]*>", re.IGNORECASE)


class NoPicture(Exception):
    """Chromium is missing, or made none; the text says why."""


@dataclass(frozen=True)
class Pair:
    """One shape of two states: what was, and what is."""

    scheme: str
    width: int
    old: Picture | None
    new: Picture | None

    @property
    def is_same(self) -> bool:
        return bool(self.old and self.new and self.old.image_hash == self.new.image_hash)

    @property
    def is_whole(self) -> bool:
        return self.old is not None and self.new is not None


def html_of(state: State, sample: dict[str, object] | None = None) -> str:
    """Return the HTML that is drawn of a state; empty where it has none or can't be rendered."""
    try:
        return state.rendered(state.sample if sample is None else sample).html
    except RenderError:
        return ""


def draw(html: str) -> list[Picture]:
    """Return the pictures of `html`, drawing those that are missing; raise NoPicture."""
    key = key_of(html)
    known = {(one.scheme, one.width): one for one in Picture.objects.filter(html_hash=key)}
    for scheme, width in SHAPES:
        if (scheme, width) in known or not html.strip():
            continue
        image = _screenshot(html, scheme, width)
        known[scheme, width], _ = Picture.objects.get_or_create(
            html_hash=key,
            scheme=scheme,
            width=width,
            defaults={"image": image, "image_hash": hashlib.sha256(image).hexdigest()},
        )
    return [known[shape] for shape in SHAPES if shape in known]


def pairs(old_html: str, new_html: str) -> list[Pair]:
    """Return the pictures that are there, side by side; nothing is drawn."""
    keys = key_of(old_html), key_of(new_html)
    found = Picture.objects.filter(html_hash__in=keys).defer("image")
    known = {(one.html_hash, one.scheme, one.width): one for one in found}
    return [
        Pair(scheme, width, *(known.get((key, scheme, width)) for key in keys))
        for scheme, width in SHAPES
    ]


def draw_alone(html: str) -> bool:
    """Draw what is missing of `html`, one process at a time: Chromium takes a lot of memory. Tell whether it was this one."""
    with session_lock("content pictures") as is_ours:
        if is_ours:
            draw(html)
    return is_ours


def key_of(html: str) -> str:
    return hashlib.sha256(html.encode()).hexdigest()


def _screenshot(html: str, scheme: str, width: int) -> bytes:
    if not settings.MAILOPS_CHROMIUM:
        raise NoPicture("There is no Chromium here; MAILOPS_CHROMIUM names one.")
    doctype = _DOCTYPE.match(html)
    rest = html[doctype.end() :] if doctype else html
    rest = _ORDERS.sub(r"data-\g<0>", rest)
    page = f"{doctype[0] if doctype else ''}{_POLICY}{embedded(in_scheme(without_connections(rest), scheme))}"
    with tempfile.TemporaryDirectory(prefix="mailops-picture-") as folder:
        source, target = Path(folder, "mail.html"), Path(folder, "mail.png")
        source.write_text(page, encoding="utf-8")
        is_forced = scheme == "dark" and not _HAS_DARK.search(html)
        command = [
            settings.MAILOPS_CHROMIUM,
            *("--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *("--disable-background-networking", "--disable-extensions", "--disable-sync"),
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},{HEIGHT}",
            f"--screenshot={target}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            *(["--enable-features=WebContentsForceDark"] if is_forced else []),
            source.as_uri(),
        ]
        try:
            subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)  # noqa: S603
            image = target.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise NoPicture(f"Chromium drew nothing: {type(error).__name__}.") from error
    if len(image) > MAX_IMAGE:
        raise NoPicture("The picture is too large to keep.")
    return image
