"""What files a mail may carry: their names, and whether the octets are what the name says. Pure; nothing is unpacked."""

import io
import re
import struct
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_NAME = 100  # characters
MAX_PIXELS = 25_000_000  # a mail program unpacks a picture to four octets a pixel
MAX_PARTS = 5_000  # in a packed file
_ENTRY = b"PK\x01\x02"  # begins each line of its directory (APPNOTE 4.3.12)
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\Z)", re.IGNORECASE)  # by Windows
_UNFIT = re.compile(r'[<>:"|?*]')
_PROGRAMS = {
    b"MZ": "a Windows program",
    b"\x7fELF": "a Linux program",
    b"\xfe\xed\xfa": "a macOS program",
    b"\xce\xfa\xed\xfe": "a macOS program",
    b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "a program",
    b"#!": "a script",
    b"L\0\0\0\x01\x14\x02\0": "a Windows shortcut",
}
_RUNS = re.compile(
    r"\.(?:exe|com|scr|pif|bat|cmd|msi|js|jse|vbs|vbe|wsf|hta|ps1|jar|lnk|dll|cpl|reg|sh|app|apk|iso|img)\Z",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"\s*(?:<!doctype|<html|<head|<body|<script|<svg|<\?xml|<iframe)", re.IGNORECASE
)
_BINARY = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class WrongFile(Exception):
    """A file that no mail should carry; the text says why, and what to do."""


@dataclass(frozen=True)
class Measured:
    """A file that is what its name says."""

    content_type: str
    width: int | None = None
    height: int | None = None

    @property
    def is_picture(self) -> bool:
        return self.width is not None


def clean_name(written: str) -> str:
    """Return a file name that is no path, hides nothing and fits any disk and any header."""
    last = unicodedata.normalize("NFC", re.split(r"[/\\]", written)[-1])
    # Cc, Cf, Cs, Co, Cn: line breaks, NUL, and marks that turn letters around
    shown = "".join(" " if c in "\t\r\n" else c for c in last)
    shown = "".join(c for c in shown if not unicodedata.category(c).startswith(("C", "Zl", "Zp")))
    name = _UNFIT.sub("_", " ".join(shown.split())).strip(". ")
    stem, dot, ending = name.rpartition(".")
    if dot and len(name) > MAX_NAME:
        name = f"{stem[: MAX_NAME - len(ending[:10]) - 1]}.{ending[:10]}"
    return f"_{name}" if _RESERVED.match(name) else name[:MAX_NAME]


def ending_of(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def content_type_of(name: str) -> str:
    return _KINDS[ending_of(name)].content_type if ending_of(name) in _KINDS else _UNKNOWN


def type_of_picture(content: bytes) -> str:
    """Return the content type that `content` begins like; empty where it is no picture."""
    pictures = (kind for kind in _KINDS.values() if kind.content_type in _SIZES)
    return next((kind.content_type for kind in pictures if kind.fits(content)), "")


def is_picture(name: str) -> bool:
    return content_type_of(name).startswith("image/")


def measure(name: str, content: bytes, *, allowed: list[str]) -> Measured:
    """Return what `content` is, which must be what `name` says and one of the endings `allowed`; raise WrongFile."""
    ending = ending_of(name)
    if not content:
        raise WrongFile("The file is empty.")
    for start, what in _PROGRAMS.items():
        if content.startswith(start):
            raise WrongFile(f"It is {what}. Mail systems refuse programs.")
    if ending == "svg":
        raise WrongFile(
            "Most mail programs don't show SVG, and it can hold scripts. Make a PNG of it."
        )
    if _RUNS.search(name):
        raise WrongFile(
            f"A file that ends in .{ending} runs where it is opened. Mail systems refuse it."
        )
    if ending not in allowed or ending not in _KINDS:
        such = f"Files ending in .{ending}" if ending else "Files whose name has no ending"
        raise WrongFile(f"{such} are not taken; these are: {', '.join(allowed)}.")
    kind = _KINDS[ending]
    if not kind.fits(content):
        raise WrongFile(
            f"Its name says .{ending}, and what is in it is something else{_guess(content)}."
        )
    if kind.is_packed:
        _refuse_parts(content)
    if not kind.content_type.startswith("image/"):
        return Measured(kind.content_type)
    return _measured_picture(kind.content_type, content)


def _measured_picture(content_type: str, content: bytes) -> Measured:
    try:
        width, height = _SIZES[content_type](content)
    except (struct.error, IndexError, StopIteration) as error:
        raise WrongFile(
            "The picture is cut off or broken: it tells no width and height."
        ) from error
    if not (width and height):
        raise WrongFile("The picture has no width or no height.")
    if width * height > MAX_PIXELS:
        raise WrongFile(
            f"The picture has {width:,} × {height:,} points; {MAX_PIXELS // 10**6} million are taken. Make it smaller."
        )
    return Measured(content_type, width, height)


@dataclass(frozen=True)
class _Kind:
    content_type: str
    fits: Callable[[bytes], bool]
    is_packed: bool = False


def _starts(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(starts)


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return not _BINARY.search(text) and not _MARKUP.match(text)


def _begins(word: str) -> Callable[[bytes], bool]:
    return lambda content: (
        _is_text(content) and content.lstrip(b"\xef\xbb\xbf").upper().startswith(word.encode())
    )


def _holds(*parts: str) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(b"PK\x03\x04") and set(parts) <= set(_parts(content))


def _parts(content: bytes) -> list[str]:
    """Return the names of what is packed; none where it is broken, or so much that reading the names takes seconds."""
    if content.count(_ENTRY) > MAX_PARTS:
        return []
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            return packed.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error):
        return []


def _refuse_parts(content: bytes) -> None:
    parts = _parts(content)
    if not parts:
        raise WrongFile("The packed file is broken, or has thousands of files in it.")
    for part in parts:
        if part.rpartition("/")[2].lower() == "vbaproject.bin":
            raise WrongFile("The document holds macros. Save it without them.")
        if _RUNS.search(part):
            raise WrongFile(f"There is a program in it: {part[-60:]}. Mail systems refuse it.")


_OOXML = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
_UNKNOWN = "application/octet-stream"
_JPEG = _Kind("image/jpeg", _starts(b"\xff\xd8\xff"))
_KINDS = {
    "png": _Kind("image/png", _starts(b"\x89PNG\r\n\x1a\n")),
    "jpg": _JPEG,
    "jpeg": _JPEG,
    "gif": _Kind("image/gif", _starts(b"GIF87a", b"GIF89a")),
    "webp": _Kind(
        "image/webp", lambda content: content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    ),
    "pdf": _Kind("application/pdf", _starts(b"%PDF-")),
    "txt": _Kind("text/plain", _is_text),
    "csv": _Kind("text/csv", _is_text),
    "ics": _Kind("text/calendar", _begins("BEGIN:VCALENDAR")),
    "vcf": _Kind("text/vcard", _begins("BEGIN:VCARD")),
    "docx": _Kind(
        f"{_OOXML}.wordprocessingml.document", _holds("[Content_Types].xml"), is_packed=True
    ),
    "xlsx": _Kind(f"{_OOXML}.spreadsheetml.sheet", _holds("[Content_Types].xml"), is_packed=True),
    "pptx": _Kind(
        f"{_OOXML}.presentationml.presentation", _holds("[Content_Types].xml"), is_packed=True
    ),
    "odt": _Kind(f"{_OPEN}.text", _holds("mimetype"), is_packed=True),
    "ods": _Kind(f"{_OPEN}.spreadsheet", _holds("mimetype"), is_packed=True),
    "zip": _Kind("application/zip", _starts(b"PK\x03\x04"), is_packed=True),
}


def _guess(content: bytes) -> str:
    text = content[:200].decode("utf-8", "replace")
    if _MARKUP.match(text):
        return " (HTML or XML)"
    for ending, kind in _KINDS.items():
        if ending not in {"txt", "csv"} and kind.fits(content):
            return f" (.{ending})"
    return ""


def _size_of_png(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", content[16:24])  # IHDR stands first
    return width, height


def _size_of_gif(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack("<HH", content[6:10])
    return width, height


def _size_of_jpeg(content: bytes) -> tuple[int, int]:
    frame = next(at for marker, at in _segments(content) if marker in _FRAMES)
    height, width = struct.unpack(">HH", content[frame + 3 : frame + 7])
    return width, height


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers (ITU T.81, B.1)


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield each segment's marker, and where its length stands."""
    at = 2
    while at < len(content):
        if content[at] != 0xFF:
            return
        marker = content[at + 1]
        if marker == 0xFF:  # fills
            at += 1
            continue
        yield marker, at + 2
        (length,) = struct.unpack(">H", content[at + 2 : at + 4])
        at += 2 + length


def _size_of_webp(content: bytes) -> tuple[int, int]:
    form = content[12:16]
    if form == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    if form == b"VP8L":
        (bits,) = struct.unpack("<I", content[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", content[26:30])
    return width & 0x3FFF, height & 0x3FFF


_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "image/png": _size_of_png,
    "image/gif": _size_of_gif,
    "image/jpeg": _size_of_jpeg,
    "image/webp": _size_of_webp,
}
