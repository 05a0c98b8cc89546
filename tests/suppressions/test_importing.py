import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.lib.chunks import MAX_FAILURES
from mailops.lib.csv_reading import SAMPLE_BYTES, NotReadable
from mailops.suppressions import importing, tasks
from mailops.suppressions.importing import (
    forget_old_accounts,
    import_chunk,
    start_import,
    stop_import,
)
from mailops.suppressions.models import ImportedRow, Suppression, SuppressionImport
from mailops.suppressions.suppressing import suppress, unsuppress
from tests.factories import make_stream
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


def begin(content, actor, **options):
    given = {"file_name": "list.csv", "stream": None, "reason": "imported", **options}
    return start_import(file=io.BytesIO(content), actor=actor, **given)


def work_off(run):
    while import_chunk(run_id=run.pk):
        pass
    run.refresh_from_db()
    return Counter(run.rows.values_list("outcome", flat=True))


class TestAChunkThatFails:
    def fail(self, run, monkeypatch, *, times):
        def break_off(*_):
            raise ValueError("a bug of ours")

        with monkeypatch.context() as patch:
            patch.setattr(importing, "_settle", break_off)
            for _ in range(times):
                with pytest.raises(ValueError, match="a bug"):
                    tasks.continue_suppression_import(run.pk)
        run.refresh_from_db()

    def test_is_given_up_after_a_few_tries_and_says_why(
        self, operator, monkeypatch, logged_in, viewer
    ):
        run = begin(b"email\na@x.example\n", operator)
        self.fail(run, monkeypatch, times=MAX_FAILURES - 1)
        assert run.is_running
        self.fail(run, monkeypatch, times=1)
        assert (run.state, run.pieces.count()) == (SuppressionImport.State.FAILED, 0)
        assert run.finished_at is not None
        page = logged_in(viewer).get(reverse("suppressions:import", args=[run.pk])).text
        assert "The rows from line 1 on could not be worked off, in 5 tries" in page
        assert "Import the file again" in page
        assert "a bug of ours" in page

    def test_is_repeated_where_it_failed_now_and_then(self, operator, monkeypatch):
        monkeypatch.setattr(importing, "CHUNK", 1)
        run = begin(b"a@x.example\nb@x.example\n", operator)
        self.fail(run, monkeypatch, times=MAX_FAILURES - 1)
        assert import_chunk(run_id=run.pk)
        self.fail(run, monkeypatch, times=MAX_FAILURES - 1)
        assert work_off(run) == {"added": 2}
        assert run.state == SuppressionImport.State.COMPLETED


class TestAnEntryThatIsMadeMeanwhile:
    """The chunk could not see it when it looked, and meets it when it makes its own."""

    def settle(self, monkeypatch, *, conflicts):
        settle, left = importing._settle, list(range(conflicts))

        def meet(*given):
            settle(*given)
            if left:
                left.pop()
                raise IntegrityError("duplicate key")

        monkeypatch.setattr(importing, "_settle", meet)

    def test_costs_another_look_alone(self, operator, monkeypatch):
        self.settle(monkeypatch, conflicts=importing.LOOKS - 1)
        run = begin(b"a@x.example\nb@x.example\n", operator)
        tasks.continue_suppression_import(run.pk)
        assert work_off(run) == {"added": 2}
        assert (run.state, run.failures) == (SuppressionImport.State.COMPLETED, 0)

    def test_is_no_reason_to_try_for_ever(self, operator, monkeypatch):
        self.settle(monkeypatch, conflicts=importing.LOOKS * MAX_FAILURES)
        run = begin(b"a@x.example\n", operator)
        for _ in range(MAX_FAILURES):
            with pytest.raises(IntegrityError):
                tasks.continue_suppression_import(run.pk)
        run.refresh_from_db()
        assert (run.state, run.detail) == ("failed", "IntegrityError: duplicate key")


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    """Two files name the same addresses, each in an order of its own."""

    def test_never_block_each_other(self, operator):
        first, second = (
            begin(content, operator)
            for content in (
                b"b@x.example\nm@x.example\na@x.example\n",
                b"a@x.example\nb@x.example\n",
            )
        )
        with ThreadPoolExecutor(2) as pool:
            with transaction.atomic():
                suppress(address="m@x.example", stream=None, reason="complaint")
                one = pool.submit(self.work_off, first)
                wait_until(lambda: self.waiting() == 1, seconds=20, what="the first to wait for m")
                other = pool.submit(self.work_off, second)
                wait_until(lambda: self.waiting() == 2, seconds=20, what="the second to wait")
            assert one.result() + other.result() == {"added": 2, "unchanged": 3}

    def work_off(self, run):
        try:
            return work_off(run)
        finally:
            connection.close()

    def waiting(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return cursor.fetchone()[0]

    def test_takes_in_what_is_taken_off_the_list_meanwhile(self, operator, meanwhile):
        entry = suppress(address="a@x.example", stream=None, reason="imported")
        run = begin(b"a@x.example\n", operator)
        with transaction.atomic():
            unsuppress(suppression=entry, reason="by mistake", actor=operator)
            done = meanwhile(import_chunk, run_id=run.pk)
        done.result()
        assert work_off(run) == {"added": 1}
        assert Suppression.objects.get().address_key == "a@x.example"


class TestImport:
    def test_accounts_for_every_row(self, operator):
        suppress(address="known@example.com", stream=None, reason="complaint")
        suppress(address="weak@example.com", stream=None, reason="soft_bounces")
        content = b"""name,Email,note
Bob,Bob@Example.COM,asked by phone
Bob again,bob@example.com,
Known,known@example.com,
Weak,weak@example.com,

Nobody,not an address,
"""
        run = begin(content, operator)
        assert work_off(run) == {
            "added": 1,
            "duplicate": 1,
            "unchanged": 1,
            "strengthened": 1,
            "rejected": 1,
        }
        assert run.state == SuppressionImport.State.COMPLETED
        bob = Suppression.objects.get(address_key="bob@example.com")
        assert (bob.address, bob.evidence_text) == ("Bob@Example.COM", "asked by phone")
        rejected = ImportedRow.objects.get(outcome="rejected")
        assert (rejected.line, rejected.address, rejected.why) == (
            7,
            "not an address",
            "The address has no @.",
        )

    def test_is_on_the_audit_trail(self, operator):
        run = begin(b"a@example.com", operator)
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.subject_id) == ("suppression.import", str(run.pk))

    def test_suppresses_in_the_stream_it_is_for(self, operator):
        stream = make_stream()
        work_off(begin(b"a@example.com", operator, stream=stream, reason="unsubscribe"))
        entry = Suppression.objects.get()
        assert (entry.stream, entry.reason) == (stream, "unsubscribe")

    def test_goes_on_in_chunks(self, operator, monkeypatch):
        monkeypatch.setattr("mailops.suppressions.importing.CHUNK", 2)
        run = begin(b"\n".join(b"a%d@example.com" % (n % 4) for n in range(7)), operator)
        assert import_chunk(run_id=run.pk)
        assert Suppression.objects.count() == 2
        assert work_off(run) == {"added": 4, "duplicate": 3}

    def test_reads_nothing_but_the_columns_at_first(self, operator, monkeypatch):
        content = b"address\n" + b"".join(b"a%d@example.com\n" % n for n in range(5))
        run = begin(content, operator)
        assert not run.rows.exists()
        monkeypatch.setattr(importing, "CHUNK", 3)
        assert import_chunk(run_id=run.pk)
        run.refresh_from_db()
        assert (run.numbers, content[: run.cursor].count(b"\n"), run.line) == ({"added": 2}, 3, 4)
        assert work_off(run) == {"added": 5}
        assert run.cursor == run.size == len(content)
        assert not run.pieces.exists()

    def test_does_nothing_twice(self, operator):
        run = begin(b"a@example.com", operator)
        work_off(run)
        assert not import_chunk(run_id=run.pk)
        assert Suppression.objects.count() == 1

    def test_takes_back_what_the_export_wrote(self, operator):
        work_off(begin(b"\xef\xbb\xbfaddress,stream\r\n'+a@example.com,All streams\r\n", operator))
        assert Suppression.objects.get().address == "+a@example.com"

    def test_leaves_nothing_of_a_file_that_is_none(self, operator):
        with pytest.raises(NotReadable):
            begin(b"name\nBob\n", operator)

    def test_looks_for_addresses_at_the_beginning_alone(self, operator):
        with pytest.raises(NotReadable, match="The first 256 KB of the file"):
            begin(b" \n" * SAMPLE_BYTES + b"a@example.com\n", operator)
        assert not SuppressionImport.objects.exists()
        assert work_off(begin(b" \n" * 60 + b"address\na@example.com\n", operator)) == {"added": 1}

    def test_stores_what_no_text_is(self, operator):
        run = begin(b"a@example.com\n" + b"\xff\xfe" * 300 + b"\n" + b"x" * 9000, operator)
        assert work_off(run) == {"added": 1, "rejected": 2}

    def test_knows_its_numbers_without_counting(self, operator, monkeypatch):
        monkeypatch.setattr(importing, "CHUNK", 2)
        suppress(address="ann@example.com", stream=None, reason="complaint")
        addresses = b"ann bob cyd bob dan nobody".replace(b" ", b"@example.com\n")
        run = begin(addresses, operator)
        assert run.numbers == {}
        import_chunk(run_id=run.pk)
        run.refresh_from_db()
        assert run.numbers == {"added": 1, "unchanged": 1}
        assert work_off(run) == run.numbers


class TestWhatAnExportSaysOfEachRow:
    """Streams, reasons and ends come in as they went out."""

    def outcomes(self, run):
        return list(run.rows.order_by("line").values_list("outcome", "why"))

    def test_makes_the_same_entries_elsewhere(self, operator, viewer, logged_in):
        news = make_stream(name="=News; daily")
        soon = timezone.now() + timedelta(days=3)
        given = [
            ("ann@example.com", None, "complaint", "x" * 2000, None),
            ("ann@example.com", news, "unsubscribe", "one click", None),
            ("bob@example.com", news, "soft_bounces", "Mailbox\r\n=full; +3", soon),
            ("-cyd@bücher.example", None, "hard_bounce", "550 5.1.1", None),
        ]
        for address, stream, reason, text, end in given:
            suppress(
                address=address, stream=stream, reason=reason, evidence_text=text, expires_at=end
            )
        told = ("address", "address_key", "stream", "reason", "evidence_text", "expires_at")
        before = set(Suppression.objects.values_list(*told))
        exported = logged_in(viewer).get(reverse("suppressions:export")).getvalue()
        Suppression.objects.all().delete()
        assert work_off(begin(exported, operator)) == {"added": 4}
        assert set(Suppression.objects.values_list(*told)) == before

    def test_counts_before_what_was_chosen_for_the_file(self, operator):
        news, offers = make_stream(name="News"), make_stream(name="Offers")
        content = (
            b"address,stream,reason\na@x.example,News,Complaint\nb@x.example,All streams,\n"
            b"c@x.example,,BOUNCE\n"
        )
        work_off(begin(content, operator, stream=offers, reason="manual"))
        told = Suppression.objects.order_by("address").values_list("stream", "reason")
        assert list(told) == [
            (news.pk, "complaint"),
            (None, "manual"),
            (offers.pk, "manual"),
        ]

    @pytest.mark.parametrize("rows", [1, 1000])
    def test_counts_by_the_stronger_of_two_rows(self, rows, operator, monkeypatch):
        monkeypatch.setattr(importing, "CHUNK", rows)
        soon = (timezone.now() + timedelta(days=1)).isoformat()
        content = (
            f"address,reason,until\na@x.example,,{soon}\na@x.example,,\n"
            "b@x.example,complaint,\nb@x.example,,\nc@x.example,,\nc@x.example,unsubscribe,\n"
        )
        assert work_off(begin(content.encode(), operator)) == {"added": 3, "duplicate": 3}
        told = Suppression.objects.order_by("address").values_list("reason", "expires_at")
        assert list(told) == [("imported", None), ("complaint", None), ("unsubscribe", None)]

    def test_is_refused_where_there_is_no_such_stream(self, operator, logged_in):
        make_stream(name="News")
        content = b"address,stream\na@x.example,Nwes\na@x.example,News\na@x.example,News\n"
        run = begin(content, operator)
        assert work_off(run) == {"rejected": 1, "added": 1, "duplicate": 1}
        page = logged_in(operator).get(reverse("suppressions:import", args=[run.pk])).text
        assert "There is no stream “Nwes” here." in page
        assert "has this address for the same stream" in page
        assert "columns: address, stream." in page

    def test_is_said_to_be_over_where_it_has_ended(self, operator):
        run = begin(b"address,until\na@x.example,2025-03-01T10:00:00+02:00\n", operator)
        assert work_off(run) == {"expired": 1}
        ((_, why),) = self.outcomes(run)
        assert why == "It ended on 01 Mar 2025, 08:00 UTC and stops no mail any more."
        assert not Suppression.objects.exists()

    @pytest.mark.parametrize(
        ("until", "ends"),
        [
            ("2030-12-31", "2031-01-01T00:00:00+00:00"),
            ("2030-12-31 18:00", "2030-12-31T18:00:00+00:00"),
            ("2030-12-31T18:00:00+02:00", "2030-12-31T16:00:00+00:00"),
        ],
    )
    def test_ends_with_its_day_or_at_its_time(self, until, ends, operator):
        work_off(begin(f"address,until\na@x.example,{until}\n".encode(), operator))
        assert Suppression.objects.get().expires_at.isoformat() == ends

    @pytest.mark.parametrize(
        ("until", "why"),
        [
            ("31.12.2030", "“31.12.2030” is no time. Write 2026-12-31"),
            ("9999-12-31", "is no time"),
            ("9999-12-31T23:59:59-14:00", "is no time"),
            ("2099-01-01", "It ends in more than ten years: leave it empty for good."),
        ],
    )
    def test_is_refused_where_no_end_can_be_made_of_it(self, until, why, operator):
        run = begin(f"address,until\na@x.example,{until}\n".encode(), operator)
        assert work_off(run) == {"rejected": 1}
        assert why in self.outcomes(run)[0][1]


class TestStopping:
    def test_keeps_what_it_has_and_goes_no_further(self, operator, monkeypatch):
        monkeypatch.setattr(importing, "CHUNK", 1)
        run = begin(b"a@x.example\nb@x.example\n", operator)
        assert import_chunk(run_id=run.pk)
        assert stop_import(run=run, actor=operator)
        assert not import_chunk(run_id=run.pk)
        assert Suppression.objects.get().address == "a@x.example"
        assert not run.pieces.exists()
        run.refresh_from_db()
        assert (run.state, run.sentence) == ("stopped", f"{operator} stopped it after 1 row.")

    def test_of_one_that_is_over_does_nothing(self, operator):
        run = begin(b"a@x.example\n", operator)
        work_off(run)
        assert not stop_import(run=run, actor=operator)
        run.refresh_from_db()
        assert run.state == "completed"


class TestAccounts:
    def test_are_forgotten_after_a_quarter(self, operator):
        old, new = begin(b"a@example.com", operator), begin(b"b@example.com", operator)
        for run in (old, new):
            work_off(run)
        SuppressionImport.objects.filter(pk=old.pk).update(
            finished_at=timezone.now() - timedelta(days=91)
        )
        assert not forget_old_accounts()
        assert [row.run for row in ImportedRow.objects.all()] == [new]
        assert Suppression.objects.count() == 2

    def test_are_forgotten_whole_however_many(self, operator, monkeypatch):
        monkeypatch.setattr(importing, "FORGOTTEN", 2)
        monkeypatch.setattr(tasks.forget_old_accounts, "delay", tasks.forget_old_accounts)
        run = begin(b"a@example.com\nb@example.com\nc@example.com", operator)
        work_off(run)
        SuppressionImport.objects.filter(pk=run.pk).update(
            finished_at=timezone.now() - timedelta(days=91)
        )
        tasks.forget_old_accounts()
        assert not ImportedRow.objects.exists()


@pytest.fixture
def read(operator):
    """Return a function that imports a file and returns the account of its rows."""

    def rows_of(content):
        run = begin(content, operator)
        work_off(run)
        return list(run.rows.order_by("line"))

    return rows_of


class TestReading:
    @pytest.mark.parametrize(
        ("content", "addresses"),
        [
            (b"a@x.example\nb@x.example", ["a@x.example", "b@x.example"]),
            (b"address\r\na@x.example\r\n", ["a@x.example"]),
            (b"name;E-Mail\nA;a@x.example\n", ["a@x.example"]),
            (b"A\ta@x.example\n", ["a@x.example"]),
            (b"EmailAddress,Reason\na@x.example,BOUNCE\n", ["a@x.example"]),
            (b"who,email_address\nb@x.example,a@x.example\n", ["a@x.example"]),
            (
                b"Since,Adresse\n2026,a@x.example\n2025,b@x.example\n",
                ["a@x.example", "b@x.example"],
            ),
            (
                b"By,Adresse\n,a@x.example\nc@x.example,b@x.example\n",
                ["a@x.example", "b@x.example"],
            ),
            (b'"Smith, A",a@x.example\n', ["a@x.example"]),
            (
                b'mail,note\na@x.example,"two\nlines"\nb@x.example,\n',
                ["a@x.example", "b@x.example"],
            ),
            ("address\nü@x.example\n".encode(), ["ü@x.example"]),
            ("address\nü@x.example\n".encode("utf-8-sig"), ["ü@x.example"]),
            ("address\nü@x.example\n".encode("utf-16"), ["ü@x.example"]),
            ("address\nü@x.example\n".encode("cp1252"), ["ü@x.example"]),
            (b"address\ra@x.example\rb@x.example", ["a@x.example", "b@x.example"]),
            ("sep=;\r\nnote;email\r\n1,5;a@x.example".encode("utf-16"), ["a@x.example"]),
        ],
    )
    def test_finds_the_addresses(self, content, addresses, read):
        assert [row.address for row in read(content)] == addresses

    @pytest.mark.parametrize("content", [b"", b"\n", b"PK\x03\x04zip", b"a\0b", b"name\nBob\n"])
    def test_refuses_what_holds_none(self, content, read):
        with pytest.raises(NotReadable):
            read(content)

    def test_passes_over_a_line_without_end(self, read):
        content = b"a@x.example\n" + b"y" * 5_000_000 + b"\nb@x.example\n"
        rows = read(content)
        assert [row.address for row in rows] == ["a@x.example", "", "b@x.example"]
        assert "longer than" in rows[1].why

    def test_an_open_quote_spoils_one_row(self, read):
        content = b'mail,note\na@x.example,"open\n' + b"b@x.example,\n" * 20_000
        rows = read(content)
        assert len(rows) == 20_001
        assert [(row.line, row.why) for row in rows if row.outcome == "rejected"] == [
            (2, "A quote is opened here and not closed within 100,000 characters.")
        ]

    def test_half_a_character_at_the_end_is_none(self, read):
        content = "address\na@x.example\n".encode("utf-16") + b"a"
        assert [row.address for row in read(content)] == ["a@x.example"]


def test_halves_of_characters_are_stored_as_what_they_are(operator):
    content = "address,note\na@x.example,".encode("utf-16") + b"\x00\xd8"
    assert work_off(begin(content, operator)) == {"added": 1}
    assert Suppression.objects.get().evidence_text == "?"
