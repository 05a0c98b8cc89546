"""Whatever is mailed to the return-path host is read or refused within 200 MB and two seconds, in every charset."""

import base64
import encodings.aliases
import gzip
import io
import json
import subprocess
import sys
import zipfile

import pytest

from mailops.protocol.feedback_mail import describe, read

MOST_MEGABYTES, MOST_SECONDS = 200, 2.0
# a program of its own, since a process's peak memory never shrinks: it reads one mail a line and says what that cost
PROGRAM = """
import json, resource, sys, time
from mailops.protocol.feedback_mail import describe, read
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        content = file.read()
    begun = time.process_time()
    kind = describe(read(content))["type"]
    seconds = time.process_time() - begun
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps([path, kind, seconds, peak // 1024]))
"""
ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><feedback>&j;</feedback>"
)
TEXT = "From: mailer-daemon@rcpt.example\nSubject: Undelivered\nContent-Type: text/plain; charset={}\n\n"


def mailed(content, subtype):
    head = f'From: a@isp.example\nContent-Type: application/{subtype}; name="r.{subtype}"\n\n'
    return head.encode() + content


def zipped(*contents):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.xml", content)
    return file.getvalue()


def bounced(text, fields, encoding="7bit"):
    """Return a report with a text for people and fields for machines."""
    return (
        b"From: mailer-daemon@rcpt.example\nSubject: Undelivered\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=B\n\n"
        b"--B\nContent-Type: text/plain\n\n%s\n--B\nContent-Type: message/delivery-status\n"
        b"Content-Transfer-Encoding: %s\n\n%s\n--B--\n" % (text, encoding.encode(), fields)
    )


def test_no_bomb_costs_more_than_it_may(tmp_path):
    inner = zipped(b" " * 50_000_000)
    array = json.dumps({"organization-name": "x", "report-id": "1", "policies": [{}] * 100_000})
    names = [b"a%d@b.example" % n for n in range(50)]
    naming = b"To: postmaster@c.example " + b" ".join(names)  # each line names everybody
    failed = b"".join(b"Final-Recipient: rfc822; %s\nStatus: 5.0.0\n\n" % one for one in names)
    parted = b"Final-Recipient: rfc822; a@b.example\n\n" + b"".join(
        b"Action:\nX%d:\n\n" % n for n in range(45_000)
    )
    # begins like encoded words, none of which ends
    diagnostic = b"Diagnostic-Code: smtp; " + b"=?a?q? " * 280 + b"\n"
    worded = b"".join(
        b"Final-Recipient: rfc822; %s\n%s\n" % (one, diagnostic * 4) for one in names * 2
    )
    recipient = (
        b"Final-Recipient: rfc822; a%d@b.example\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 %s\n\n"
    )
    thousands = b"".join(recipient % (n, b"words that say nothing " * 5) for n in range(4_900))
    bombs = {
        "thousands-of-recipients": bounced(b"\n".join([naming] * 600), thousands),
        "mentions": bounced(b"\n".join([naming] * 600), failed),
        "mentions-with-a-reason": bounced(b"\n".join([naming + b" user unknown"] * 600), failed),
        "fields-in-many-pieces": bounced(b"", base64.encodebytes(parted), "base64"),
        "words-without-end": bounced(b"", worded),
        "gzip": mailed(gzip.compress(b" " * 200_000_000, 1), "gzip"),
        "zip": mailed(zipped(b" " * 200_000_000), "zip"),
        "zip-of-zips": mailed(zipped(inner, inner), "zip"),
        "zip-of-many": mailed(zipped(*[b"x"] * 5_000), "zip"),
        "entities": mailed(gzip.compress(ENTITIES), "gzip"),
        "array": mailed(gzip.compress(array.encode()), "tlsrpt+gzip"),
        "ten-megabytes": b"Subject: x\n\n" + b"550 5.1.1 <a@b.example> unknown\n" * 320_000,
        "ten-megabytes-of-html": b"Content-Type: text/html\n\n" + b"<p>550 <b>5.1.1</b> a" * 480_000,
        "headers": b"X-A: b\n" * 1_400_000,
    }  # fmt: skip
    for name, content in bombs.items():
        (tmp_path / name).write_bytes(content)
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, *(str(tmp_path / name) for name in bombs)],
        capture_output=True,
        text=True,
        check=True,
    )
    costs = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(costs) == len(bombs)
    assert [one for one in costs if one[2] > MOST_SECONDS or one[3] > MOST_MEGABYTES] == []
    kinds = {path.rpartition("/")[2]: kind for path, kind, _, _ in costs}
    refused = ("gzip", "zip", "zip-of-zips", "entities", "array")
    assert {kinds[name] for name in refused} == {"other"}


@pytest.mark.parametrize(
    "charset", sorted({*encodings.aliases.aliases.values(), "nonsense", "\x00"})
)
def test_every_charset_is_read_or_left_alone(charset):
    head = TEXT.format(charset).encode()
    for body in (b"550 5.1.1 <a@b.example>: user unknown\n", bytes(range(256)) * 40):
        assert describe(read(head + body))["type"]
