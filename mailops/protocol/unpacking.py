"""Unpacks what reports come packed in, gzip or zip, within limits: what grows beyond them is refused, not read."""

import io
import zipfile
import zlib

MAX_UNPACKED = 10_000_000  # octets; a day's report of a big domain has some hundred thousand
MAX_MEMBERS = 5


class TooBig(ValueError):
    """It unpacks to more than any report has, or can't be unpacked at all."""


def unpack(content: bytes) -> bytes:
    """Return what `content` holds, itself where it is not packed; raise TooBig."""
    if content.startswith(b"\x1f\x8b"):
        return _gunzip(content)
    if content.startswith(b"PK\x03\x04"):
        return _unzip(content)
    if len(content) > MAX_UNPACKED:
        raise TooBig("It is bigger than any report.")
    return content


def _gunzip(content: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(content, MAX_UNPACKED)
    except zlib.error as error:
        raise TooBig(f"It can't be unpacked: {error}.") from None
    if unpacker.unconsumed_tail:
        raise TooBig("It unpacks to more than any report has.")
    return found


def _unzip(content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [one for one in archive.infolist() if not one.is_dir()][: MAX_MEMBERS + 1]
            if not 1 <= len(names) <= MAX_MEMBERS:
                raise TooBig("It is no archive of one report.")
            with archive.open(names[0]) as member:
                found = member.read(MAX_UNPACKED + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        NotImplementedError,
        OSError,
        ValueError,
    ) as error:
        raise TooBig(f"It can't be unpacked: {error}.") from None
    if len(found) > MAX_UNPACKED:
        raise TooBig("It unpacks to more than any report has.")
    return found
