"""Unpacks what reports come packed in, gzip or zip, within limits: what grows beyond them is refused, not read."""

import io
import struct
import zipfile
import zlib

MAX_UNPACKED = 10_000_000  # octets; a day's report of a big domain has some hundred thousand
MAX_MEMBERS = 5
# Python hands these out a piece at a time; of the others it unpacks at once all that it has read.
_BOUNDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# what zipfile raises of archives that are broken, or locked by a password
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, OSError, RuntimeError, ValueError,
)  # fmt: skip


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
        with (
            zipfile.ZipFile(io.BytesIO(content)) as archive,
            archive.open(_only(archive)) as member,
        ):
            found = member.read(MAX_UNPACKED + 1)
    except TooBig:
        raise
    except _BROKEN as error:
        raise TooBig(f"It can't be unpacked: {error}.") from None
    if len(found) > MAX_UNPACKED:
        raise TooBig("It unpacks to more than any report has.")
    return found


def _only(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the member that is the report; raise TooBig where there is none, or none that may be unpacked."""
    members = [one for one in archive.infolist() if not one.is_dir()]
    if not 1 <= len(members) <= MAX_MEMBERS:
        raise TooBig("It is no archive of one report.")
    if members[0].compress_type not in _BOUNDED:
        raise TooBig("Its archive is packed by another method than deflate, as no report is.")
    return members[0]
