"""Files to attach, real ones as small as can be, and some that are not what they say."""

import io
import struct
import zipfile
import zlib

ENDINGS = [
    "png",
    "jpg",
    "jpeg",
    "gif",
    "webp",
    "pdf",
    "txt",
    "csv",
    "ics",
    "vcf",
    "docx",
    "xlsx",
    "pptx",
    "odt",
    "ods",
    "zip",
]
PDF = b"%PDF-1.7\n%%EOF\n"
GIF = b"GIF89a\x02\x00\x03\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x11\x08\x00\x03\x00\x02\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9"
)
WEBP = (
    b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00/\x01\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)


def png(width: int = 2, height: int = 3, *, color: int = 0) -> bytes:
    """Return a whole picture; only its header says so where it would be huge."""
    rows = (b"\0" + bytes([color, 80, 200] * width)) * height if width * height < 10**7 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed(*names: str) -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return octets.getvalue()
