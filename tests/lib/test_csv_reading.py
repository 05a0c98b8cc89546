import codecs
import io
import tracemalloc

import pytest

from mailops.lib.csv_reading import (
    MAX_RECORD,
    Beginning,
    NotReadable,
    beginning,
    guess,
    read_records,
    sample,
)


def records(data: bytes, *, encoding="utf-8", delimiter=",", offset=0):
    return list(
        read_records(
            io.BytesIO(data[offset:]), encoding=encoding, delimiter=delimiter, offset=offset
        )
    )


class TestGuess:
    def test_believes_utf8_only_if_every_byte_fits(self):
        assert guess([b"email\n", "\u00fc@example.com".encode()]).encoding == "utf-8"
        late = guess([b"email\n", b"a@example.com\n" * 50_000, "M\u00fcller".encode("cp1252")])
        assert (late.encoding, late.is_encoding_certain) == ("cp1252", False)

    def test_is_not_fooled_by_a_character_cut_between_two_chunks(self):
        data = "email,name\na@example.com,M\u00fcller\n".encode()
        cut = data.index(b"\xc3") + 1
        assert guess([data[:cut], data[cut:]]).encoding == "utf-8"

    @pytest.mark.parametrize(
        ("bom", "encoding"),
        [
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
        ],
    )
    def test_reads_the_byte_order_mark(self, bom, encoding):
        found = guess([bom + "email;name\na@example.com;Zo\u00eb\n".encode(encoding)])
        assert (found.encoding, found.delimiter, found.has_header) == (encoding, ";", True)

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_finds_the_delimiter(self, delimiter):
        text = f"email{delimiter}city\na@example.com{delimiter}Paris, France\n".replace(
            "Paris, France", '"Paris, France"'
        )
        assert guess([text.encode()]).delimiter == delimiter

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    @pytest.mark.parametrize("told", ["sep=;\n", "SEP=;\r\n", '"sep=;"\r', "sep=;;;\r\n"])
    def test_believes_the_line_that_tells_a_spreadsheet_its_delimiter(self, told, encoding):
        data = (told + "email;a,b,c\nann@x.example;1,2,3\n").encode(encoding)
        found = guess([data])
        assert (found.delimiter, found.has_header) == (";", True)
        first, second = sample(data, encoding=found.encoding, delimiter=";")
        assert (first.line, first.cells) == (2, ["email", "a,b,c"])
        assert (second.cells, second.end) == (["ann@x.example", "1,2,3"], len(data))

    @pytest.mark.parametrize("line", ["sep=x\n", "sep=;email\n", "sep;\n", "sep=;"])
    def test_takes_no_other_line_for_one_that_tells_it(self, line):
        assert beginning(line.encode(), "utf-8") == Beginning(0)

    def test_sees_that_a_first_row_with_an_address_is_no_header(self):
        assert not guess([b"a@example.com,Ada\nb@example.com,Bob\n"]).has_header

    @pytest.mark.parametrize(
        "data", [b"", b"\n\n  \n"[:2], codecs.BOM_UTF8, b"\r\n", codecs.BOM_UTF16_LE]
    )
    def test_refuses_an_empty_file(self, data):
        with pytest.raises(NotReadable, match="empty"):
            guess([data])

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"PK\x03\x04....", "Excel"),
            (b"%PDF-1.7", "PDF"),
            (b"a,b\0c\n", "NUL"),
            ("email\n".encode("utf-16-le"), "NUL"),
            (codecs.BOM_UTF16_LE + bytes(range(256)) * 99, "no text"),
            (codecs.BOM_UTF16_BE + b"\0\1\xd8\0" * 99, "no text"),
        ],
    )
    def test_refuses_what_is_no_csv_with_a_sentence(self, data, words):
        with pytest.raises(NotReadable, match=words):
            guess([data])

    def test_takes_utf_16_with_half_a_character_in_it(self):
        text = "email,name\na@example.com,\ud83d Ada and all that stands behind her name\n"
        data = codecs.BOM_UTF16_LE + text.encode("utf-16-le", "surrogatepass")
        assert guess([data]).encoding == "utf-16-le"

    def test_refuses_a_first_line_without_end(self):
        with pytest.raises(NotReadable, match=r"Line 1: The row is longer than 100,000"):
            guess([b"x" * 1_000_000] * 5)


class TestReadRecords:
    def test_keeps_quotes_delimiters_and_newlines_inside_fields(self):
        (first, second) = records(b'a@x.org,"He said ""hi"",\r\nthen left"\r\nb@x.org,B\r\n')
        assert first.cells == ["a@x.org", 'He said "hi",\r\nthen left']
        assert (first.line, second.line) == (1, 3)

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp1252"])
    def test_can_go_on_at_the_end_of_any_record(self, encoding, newline):
        text = newline.join(['a@x.org,"Z\u00fcrich\n8001"', "", "b@x.org,\u00c9", "c@x.org,C"])
        data = text.encode(encoding)
        whole = records(data, encoding=encoding)
        for at, record in enumerate(whole):
            rest = records(data, encoding=encoding, offset=record.end)
            assert [row.cells for row in rest] == [row.cells for row in whole[at + 1 :]]
            assert [row.end for row in rest] == [row.end for row in whole[at + 1 :]]
        assert whole[-1].end == len(data)

    def test_offsets_survive_bytes_that_do_not_fit_the_encoding(self):
        data = b"a@x.org,\xff\xfe\nb@x.org,\x81\x8d\n"
        for encoding in ("utf-8", "cp1252"):
            rows = records(data, encoding=encoding)
            assert [row.end for row in rows] == [11, len(data)]

    def test_one_forgotten_quote_spoils_one_row(self):
        rows = records(b'a@x.org,A\nb@x.org,"B\nc@x.org,C\nd@x.org,"D"\n')
        assert [row.cells[0] for row in rows if not row.problem] == [
            "a@x.org",
            "c@x.org",
            "d@x.org",
        ]
        assert [row.line for row in rows if row.problem] == [2]

    def test_a_quote_never_closed_spoils_one_row_of_a_long_file(self):
        rows = records(b'x@x.org,"X\n' + b"a@x.org,A\n" * 20_000)
        assert len(rows) == 20_001
        assert [row.line for row in rows if row.problem] == [1]
        assert "not closed" in rows[0].problem

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("length", range(MAX_RECORD - 2, MAX_RECORD + 4))
    def test_counts_one_line_for_a_row_about_as_long_as_one_may_be(self, length, newline):
        for long in (length, length + MAX_RECORD):  # the second is cut twice
            data = newline.join(["y" * long, "", "b@x.org", ""]).encode()
            rows = records(data)
            assert [row.line for row in rows] == [1, 2, 3]
            assert [row.cells for row in rows[1:]] == [[], ["b@x.org"]]
            assert (rows[0].problem == "") is (long <= MAX_RECORD)
            assert [row.end for row in records(data, offset=rows[0].end)] == [
                row.end for row in rows[1:]
            ]

    def test_tells_a_last_line_of_the_longest_length_that_has_no_end(self):
        (row,) = records(b"y" * MAX_RECORD + b"\r")
        assert (row.problem, row.end, row.next_line) == ("", MAX_RECORD + 1, 2)

    def test_a_line_of_a_hundred_megabytes_is_one_bad_row_and_costs_no_memory(self):
        size = 100 * 1024 * 1024

        class Endless(io.RawIOBase):
            at = 0

            def readable(self):
                return True

            def readinto(self, buffer):
                data = b"a@x.org\n" if self.at == 0 else b"y" * len(buffer)
                if self.at >= size:
                    data = b"" if self.at > size else b"\nb@x.org\n"
                    self.at += 1
                else:
                    data = data[: min(len(buffer), size - self.at)]
                    self.at += len(data)
                buffer[: len(data)] = data
                return len(data)

        tracemalloc.start()
        rows = list(read_records(Endless(), encoding="utf-8", delimiter=",", offset=0))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [row.cells[0][:7] for row in rows] == ["a@x.org", "yyyyyyy", "b@x.org"]
        assert f"{MAX_RECORD:,}" in rows[1].problem
        assert rows[2].line == 3
        assert peak < 4 * 1024 * 1024
