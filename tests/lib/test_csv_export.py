import csv
import io
from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailops.lib import csv_export
from mailops.lib.csv_export import by_steps, escape, stream_csv, unescape
from mailops.suppressions.models import Suppression
from mailops.transports.models import Stream
from tests.factories import make_suppression


def _read(response) -> list[list[str]]:
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


class TestStreamCsv:
    def test_writes_header_and_rows(self):
        response = stream_csv("a.csv", ["address", "n"], [("ann@example.com", 3), ("b", None)])
        assert _read(response) == [["address", "n"], ["ann@example.com", "3"], ["b", ""]]
        assert response["Content-Disposition"] == 'attachment; filename="a.csv"'

    def test_keeps_quotes_newlines_and_other_scripts(self):
        row = ['say "hi", Bob', "two\nlines", "Жанна"]
        assert _read(stream_csv("a.csv", ["a", "b", "c"], [row]))[1] == row

    def test_reads_rows_only_while_it_is_sent(self):
        read = []
        response = stream_csv("a.csv", ["n"], ((read.append(n) or n,) for n in range(3)))
        assert read == []
        list(response.streaming_content)
        assert read == [0, 1, 2]


@pytest.mark.django_db
class TestBySteps:
    @pytest.fixture
    def ids(self, monkeypatch):
        monkeypatch.setattr(csv_export, "STEP", 2)
        return [make_suppression(address=f"r{n}@x.example").pk for n in range(4)]

    def test_reads_each_row_once_in_order(self, ids):
        rows = Suppression.objects.all()
        assert [row.pk for row in by_steps(rows)] == ids
        assert [row.pk for row in by_steps(rows, newest_first=True)] == ids[::-1]
        chosen = rows.filter(pk__in=ids[1:])
        assert [row.address for row in by_steps(chosen, by="address")] == [
            f"r{n}@x.example" for n in (1, 2, 3)
        ]
        assert not list(by_steps(rows.none()))

    def test_asks_for_no_more_than_was_taken(self, ids):
        with CaptureQueriesContext(connection) as asked:
            next(by_steps(Suppression.objects.all()))
        (first,) = [query["sql"] for query in asked]
        assert "LIMIT 2" in first
        assert "CURSOR" not in first


class TestEscape:
    @pytest.mark.parametrize(
        "start", ["=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
    )
    def test_defuses_what_a_spreadsheet_would_run(self, start):
        assert escape(f"{start}SUM(A1)") == f"'{start}SUM(A1)"

    @pytest.mark.parametrize("cut", [";", "\t", "\n", "\r\n", ";;"])
    def test_defuses_what_begins_where_another_language_parts_cells(self, cut):
        assert escape(f"550 no{cut}=cmd|'/c calc'!A0") == f"550 no{cut}'=cmd|'/c calc'!A0"

    def test_defuses_full_width_signs_behind_a_semicolon_too(self):
        assert escape("550 no;\uff1dcmd") == "550 no;'\uff1dcmd"

    def test_leaves_semicolons_alone(self):
        assert escape("a; -b;c") == "a; -b;c"

    def test_leaves_numbers_alone(self):
        assert escape(-5) == -5

    def test_defuses_a_row_that_a_person_named(self):
        assert escape(Stream(name="=SUM(A1)")) == "'=SUM(A1)"


class TestUnescape:
    @pytest.mark.parametrize("start", ["", "'", "''"])
    @pytest.mark.parametrize(
        "rest", ["", "=1+1", "+49 30 1", "-5", "@home", "\tx", "\rx", "\uff1d1", "Ann", "'"]
    )
    def test_is_the_way_back(self, start, rest):
        assert unescape(escape(start + rest)) == start + rest

    def test_is_the_way_back_from_anything(self):
        for length in range(6):
            for letters in product("\uff1d=;'\t\na", repeat=length):
                assert unescape(escape("".join(letters))) == "".join(letters)

    @pytest.mark.parametrize("cell", ["", "'", "'s-Hertogenbosch", "+49 30 1", "O'Hara", "''"])
    def test_leaves_what_was_never_escaped(self, cell):
        assert unescape(cell) == cell
