"""Files that people upload for recipients: whatever is in them, each row is accounted for or the file is refused."""

import io
import tracemalloc
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from mailops.audiences.importing import import_chunk, start_import
from mailops.audiences.models import Contact, Import
from mailops.audiences.uploading import take_upload
from mailops.lib.pieces import PIECE_BYTES
from tests.audiences.uploads import account_of
from tests.factories import make_audience

# a name beyond ASCII, a quoted cell with quotes, a delimiter and a line break, a duplicate, an invalid address
PEOPLE = (
    "email,name\r\n"
    "zoe@example.net,Zoë\r\n"
    'bob@example.net,"Bob ""the"" Builder, jr.\r\nsecond line"\r\n'
    "ZOE@Example.NET,Zoë again\r\n"
    "not an address,Nobody\r\n"
)
BOB = 'Bob "the" Builder, jr.\r\nsecond line'


@pytest.fixture(autouse=True)
def hints(monkeypatch):
    """Keep the hints to Celery, which has no worker here."""
    monkeypatch.setattr("mailops.audiences.import_views.continue_import.delay", lambda run_id: None)


@pytest.fixture
def upload(browser):
    """Return a function that uploads a file through the page, as a browser does, and gives the answer."""
    audience = make_audience()

    def send(content: bytes, name: str = "people.csv"):
        url = reverse("audiences:import", args=[audience.pk])
        return browser.post(url, {"file": SimpleUploadedFile(name, content)}, follow=True)

    return send


@pytest.fixture
def take_in(browser, upload):
    """Return a function that uploads a file, takes the columns as the page offers them, and imports it all."""

    def all_of(content: bytes, name: str = "people.csv") -> Import:
        page = upload(content, name)
        assert page.status_code == 200, page.text
        run = Import.objects.latest("id")
        offered = {field.html_name: field.value() for field in page.context["form"]}
        read = {field.html_name: field.value() for field in page.context["reading"]}
        url = reverse("audiences:import-map", args=[run.pk])
        done = browser.post(url, {**read, **offered, "consent": "a form"}, follow=True)
        assert done.status_code == 200, done.text
        while import_chunk(run_id=run.pk):
            pass
        run.refresh_from_db()
        assert run.rows == sum(account_of(run).values())
        assert browser.get(done.request["PATH_INFO"]).status_code == 200
        return run

    return all_of


class TestEncodings:
    @pytest.mark.parametrize(
        "encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "windows-1252"]
    )
    def test_every_row_is_accounted_for_and_every_letter_kept(self, encoding, take_in):
        run = take_in(PEOPLE.encode(encoding))
        assert account_of(run) == {"added": 2, "duplicate": 1, "rejected": 1}
        names = dict(Contact.objects.values_list("address", "attributes__name"))
        assert names == {"zoe@example.net": "Zoë", "bob@example.net": BOB}

    def test_utf_16_whose_bytes_stand_the_other_way(self, take_in):
        run = take_in(b"\xfe\xff" + PEOPLE.encode("utf-16-be"))
        assert account_of(run)["added"] == 2

    def test_letters_of_two_encodings_in_one_file_lose_no_row(self, take_in):
        run = take_in("email,name\na@example.net,Zoë\n".encode() + b"b@example.net,Zo\xeb\n")
        assert account_of(run) == {"added": 2}


class TestShapes:
    def test_a_header_alone_has_no_rows(self, take_in):
        assert account_of(take_in(b"email,name\n")) == {}

    def test_a_file_without_header_loses_no_row(self, take_in):
        assert account_of(take_in(b"a@example.net\nb@example.net")) == {"added": 2}

    def test_a_quote_that_is_never_closed_spoils_one_row(self, take_in):
        run = take_in(b'email,name\na@example.net,"oops\nb@example.net,Bob\nc@example.net,Cy\n')
        assert account_of(run) == {"added": 2, "rejected": 1}
        assert run.remarks.get().line == 2

    def test_a_nul_far_down_spoils_one_row(self, take_in):
        many = b"".join(b"a%d@example.net,%b\n" % (n, b"x" * 900) for n in range(300))
        run = take_in(b"email,name\n" + many + b"z@example.net,a\0b\nlast@example.net,y\n")
        assert account_of(run) == {"added": 301, "rejected": 1}
        assert "NUL" in run.remarks.get().reason

    def test_addresses_that_would_add_a_header_are_rejected(self, take_in):
        run = take_in(b'email\n"a@example.net\r\nBcc: eve@evil.example"\n<b@example.net>\n')
        assert account_of(run) == {"rejected": 2}


class TestRefused:
    def test_a_spreadsheet_by_mistake(self, upload):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("xl/workbook.xml", "<workbook/>")
        response = upload(packed.getvalue(), "people.xlsx")
        assert response.status_code == 422
        assert "Save it as CSV" in response.text

    @pytest.mark.parametrize("content", [b"", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b",,,\n"])
    def test_a_file_with_nothing_in_it(self, content, upload):
        response = upload(content)
        assert response.status_code in {200, 422}
        assert not Contact.objects.exists()


class TestNames:
    @pytest.mark.parametrize(
        ("name", "kept"),
        [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\windows\\system.ini", "system.ini"),
            ("a\0b.csv", "ab.csv"),
            ("x" * 300 + ".csv", None),
            ("=HYPERLINK(1).csv", "=HYPERLINK(1).csv"),
        ],
    )
    def test_of_a_path_only_the_last_part_is_kept(self, name, kept, browser):
        part = f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        url = reverse("audiences:import", args=[make_audience().pk])
        response = browser.generic(
            "POST",
            url,
            f"{part}a@example.net\r\n--B--\r\n",
            content_type="multipart/form-data; boundary=B",
        )
        assert response.status_code == 302
        stored = Import.objects.get().file_name
        assert len(stored) <= 254
        assert stored == kept or kept is None


class Endless:
    """A CSV file of about 100 MB, made while it is read: three people, the second on one line without end."""

    name = "huge.csv"
    head, tail = b"email\na@example.net\n", b"\nb@example.net\n"
    size = len(head) + 100_000_000 + len(tail)

    def __init__(self) -> None:
        self.at = 0

    def seek(self, position: int, /) -> int:
        self.at = position
        return position

    def read(self, size: int, /) -> bytes:
        begin, end = self.at, min(self.at + size, self.size)
        self.at = end
        body_end = self.size - len(self.tail)
        return (
            self.head[begin:end]
            + b"x" * max(0, min(end, body_end) - max(begin, len(self.head)))
            + self.tail[max(0, begin - body_end) : max(0, end - body_end)]
        )


def import_all(file, actor):
    run = take_upload(audience=make_audience(), file=file, actor=actor)
    mapping = {"address": 0, "attributes": {}}
    start_import(run=run, header=["email"], mapping=mapping, consent="x", actor=actor)
    while import_chunk(run_id=run.pk):
        pass
    run.refresh_from_db()
    return run


@pytest.mark.whole
def test_a_line_of_100_mb_is_one_rejected_row_and_costs_no_memory(operator):
    import_all(SimpleUploadedFile("small.csv", b"email\n"), operator)  # has all modules imported
    tracemalloc.start()
    run = import_all(Endless(), operator)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert account_of(run) == {"added": 2, "rejected": 1}
    assert "longer than 100,000" in run.remarks.get().reason
    assert most < 16 * PIECE_BYTES
