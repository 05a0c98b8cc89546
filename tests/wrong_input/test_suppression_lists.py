"""Lists of addresses not to write to, as other tools export them: no row is lost, for a lost one would be written to."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from mailops.suppressions.importing import import_chunk
from mailops.suppressions.models import Suppression, SuppressionImport

LIST = (
    'address,note\r\nBob@Example.COM,"asked, by ""phone"",\r\nin May"\r\n'
    "bob@example.com,again\r\nnot an address,?\r\nzoe@bücher.example,Zoë\r\n"
)


@pytest.fixture(autouse=True)
def hints(monkeypatch):
    """Keep the hints to Celery, which has no worker here."""
    name = "mailops.suppressions.views.continue_suppression_import.delay"
    monkeypatch.setattr(name, lambda run_id: None)


@pytest.fixture
def take_in(browser):
    """Return a function that uploads a list through the page and takes all of it in."""

    def send(content: bytes, name: str = "list.csv"):
        form = {"file": SimpleUploadedFile(name, content), "reason": "imported"}
        answer = browser.post(reverse("suppressions:imports"), form)
        for run in SuppressionImport.objects.all():
            while import_chunk(run_id=run.pk):
                pass
            assert browser.get(answer["Location"]).status_code == 200
        return answer

    return send


def outcomes() -> dict[int, str]:
    return dict(SuppressionImport.objects.get().rows.values_list("line", "outcome"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "windows-1252"])
def test_every_row_is_accounted_for(encoding, take_in):
    take_in(LIST.encode(encoding))
    keys = set(Suppression.objects.values_list("address_key", flat=True))
    assert keys == {"bob@example.com", "zoe@xn--bcher-kva.example"}
    assert len(outcomes()) == 4
    assert outcomes()[5] == "rejected"


@pytest.mark.parametrize(
    "content",
    [
        b"address\nbob@example.com\n" + b"x" * 200_000 + b"\nzoe@example.com",
        b'address\nbob@example.com\n"open\nzoe@example.com',
        b"address\nbob@example.com\n\xed\xa0\x80@example.com\nzoe@example.com",
        b"address;x\rbob@example.com;1\rzoe@example.com;2\r",
        b"bob@example.com\nzoe@example.com",
    ],
    ids=["long line", "open quote", "half a character", "old line ends", "no header"],
)
def test_one_bad_row_costs_no_other(content, take_in):
    answer = take_in(content)
    assert answer.status_code == 302, answer.text
    keys = set(Suppression.objects.values_list("address_key", flat=True))
    assert keys >= {"bob@example.com", "zoe@example.com"}


@pytest.mark.parametrize(
    "content", [b"", b"address\n", b"\0\0\0", b"PK\x03\x04\0\0", b"%PDF-1.7", b"\xff\xfe", b",\n,"]
)
def test_a_file_without_addresses_is_refused_or_empty(content, take_in):
    answer = take_in(content, "../../etc/passwd")
    assert answer.status_code in {302, 422}
    assert not Suppression.objects.exists()
    assert all("/" not in run.file_name for run in SuppressionImport.objects.all())


def test_a_file_with_a_nul_in_it_is_refused_whole_and_says_why(take_in):
    answer = take_in(b"address\nbob@example.com\na\0b\n")
    assert answer.status_code == 422
    assert "NUL" in answer.text
    assert not Suppression.objects.exists()
