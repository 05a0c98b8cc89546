"""Names that strangers give to files: none leads a download, or a header of ours, where it should not go."""

import io
import re
import zipfile

import pytest
from django.urls import reverse

from mailops.feedback.archiving import archive
from mailops.feedback.models import RawFeedback
from tests.factories import make_audience, make_captured

NAMES = [
    "../../etc/passwd",
    "..\\..\\windows\\system.ini",
    "/etc/passwd",
    "C:\\x.exe",
    'a"; filename="b.html',
    "a\0.html",
    "=?utf-8?q?a=0D=0ASet-Cookie:_x=3D1?=",
    "=?utf-8?q?a=00b=0A?=",
    "\u202egnp.exe",
    "x" * 5000,
    "\U0001f600.html",
    "..",
    "",
]
SAFE = re.compile(r"attachment; filename(=\"[^/\r\n\0]*\"|\*=utf-8''[A-Za-z0-9%._~!$&+-]*)")


@pytest.mark.parametrize("name", NAMES)
def test_an_attachment_is_saved_under_a_name_without_a_path(name, browser):
    mail = f'Content-Type: text/html; name="{name}"\r\n\r\n<script>alert(1)</script>'
    captured = make_captured(f"{mail}\r\n".encode())
    response = browser.get(reverse("sandbox:attachment", args=[captured.pk, 1]))
    assert response.status_code == 200
    assert SAFE.fullmatch(response["Content-Disposition"]), response["Content-Disposition"]
    assert "%2F" not in response["Content-Disposition"]
    assert "%5C" not in response["Content-Disposition"]
    # nothing a stranger sent is opened as a page of ours
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert set(response.cookies) == set()


@pytest.mark.parametrize("number", [0, 2, 10**30])
def test_an_attachment_that_is_none_is_not_found(number, browser):
    captured = make_captured(b"Content-Type: a/b\r\n\r\nx")
    assert browser.get(f"/sandbox/messages/{captured.pk}/attachments/{number}/").status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_an_export_is_not_named_by_what_people_type(name, browser):
    audience = make_audience(name=name.replace("\0", "")[:100])
    response = browser.get(reverse("audiences:export", args=[audience.pk]))
    assert re.fullmatch(r'attachment; filename="[a-z0-9_-]+\.csv"', response["Content-Disposition"])


def test_feedback_is_given_out_as_it_came_and_never_unpacked(browser):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bomb:
        bomb.writestr("../../../tmp/mailops-was-here", "x")
    mail = b"Content-Type: application/zip\r\nContent-Encoding: gzip\r\n\r\n" + packed.getvalue()
    archive(source=RawFeedback.Source.MAIL, content=mail, peer="x\r\nSet-Cookie: y")
    row = RawFeedback.objects.get()
    response = browser.get(reverse("feedback:source", args=[row.pk]))
    assert response.content == mail
    assert response["Content-Type"] == "application/octet-stream"
    assert SAFE.fullmatch(response["Content-Disposition"])


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "..%2f..%2fetc/passwd", "%2e%2e/manage.py", "....//manage.py"]
)
def test_static_files_end_at_their_folder(path, client, db):
    assert client.get(f"/static/{path}").status_code == 404
