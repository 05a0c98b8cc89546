import codecs
from datetime import timedelta
from importlib import import_module

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.audiences import clearing, curating, deleting, importing, tasks, uploading
from mailops.audiences.clearing import clear_chunk
from mailops.audiences.curating import add_member, remove_member
from mailops.audiences.deleting import delete_audience
from mailops.audiences.importing import (
    WrongState,
    discard_upload,
    forget_old_remarks,
    import_chunk,
    note_failure,
    start_import,
    stop_import,
)
from mailops.audiences.models import (
    Audience,
    Contact,
    Import,
    ImportedAddress,
    ImportPiece,
    ImportRemark,
    Membership,
)
from mailops.audiences.settling import settle
from mailops.audiences.uploading import drop_forgotten, look
from mailops.lib.chunks import MAX_FAILURES
from mailops.lib.pieces import PIECE_BYTES
from mailops.suppressions.models import Suppression
from tests.audiences.uploads import account_of, import_all, start, upload
from tests.factories import make_audience, make_stream

pytestmark = pytest.mark.django_db


def remarks(run: Import) -> list[tuple[int, str]]:
    return list(run.remarks.order_by("line").values_list("line", "outcome"))


class TestTheAccount:
    def test_counts_every_row_once(self, operator):
        audience = make_audience("old@example.com", "same@example.com")
        Contact.objects.filter(address="same@example.com").update(attributes={"city": "Oslo"})
        Suppression.objects.create(
            address="gone@example.com", address_key="gone@example.com", reason="unsubscribe"
        )
        run = import_all(
            "email,city\nnew@example.com,Rome\nold@example.com,Bern\nsame@example.com,Oslo\n"
            "NEW@example.com,Pisa\ngone@example.com,Kiel\nno address,Graz\n\n,Linz\n",
            actor=operator,
            audience=audience,
            city=1,
        )
        assert account_of(run) == {
            "added": 1,
            "updated": 1,
            "unchanged": 1,
            "duplicate": 1,
            "suppressed": 1,
            "rejected": 2,
        }
        assert (run.rows, run.blank, run.state) == (7, 1, "completed")
        assert remarks(run) == [
            (5, "duplicate"),
            (6, "suppressed"),
            (7, "rejected"),
            (9, "rejected"),
        ]

    def test_the_database_refuses_an_account_that_does_not_add_up(self, operator):
        from django.db import IntegrityError

        run = upload("email\na@example.com\n", actor=operator)
        with pytest.raises(IntegrityError), transaction.atomic():
            Import.objects.filter(pk=run.pk).update(rows=3, added=2)

    def test_takes_time_zones_and_rejects_what_is_none(self, operator):
        audience = make_audience("c@example.com")
        Contact.objects.update(time_zone="Asia/Tokyo")
        run = import_all(
            "email,zone\na@example.com,europe/berlin\nb@example.com,+02:00\nc@example.com,\nd@example.com\n",
            actor=operator,
            audience=audience,
            zone=1,
        )
        assert account_of(run) == {"added": 2, "unchanged": 1, "rejected": 1}
        assert run.remarks.get().reason.startswith("“+02:00” is no time zone: write its IANA name")
        zones = dict(Contact.objects.values_list("address", "time_zone"))
        assert zones == {
            "a@example.com": "Europe/Berlin",
            "c@example.com": "Asia/Tokyo",
            "d@example.com": "",
        }

    def test_another_time_zone_is_an_update_and_another_state_of_the_audience(self, operator):
        audience = make_audience("a@example.com")
        Contact.objects.update(time_zone="Asia/Tokyo", attributes={"city": "Rome"})
        content = "email,zone\na@example.com,Europe/Rome\n"
        for outcome in ("updated", "unchanged"):
            run = import_all(content, actor=operator, audience=audience, zone=1)
            assert account_of(run) == {outcome: 1}
        contact = Contact.objects.get()
        assert (contact.time_zone, contact.attributes) == ("Europe/Rome", {"city": "Rome"})
        audience.refresh_from_db()
        assert audience.revision == 1

    def test_says_where_the_first_of_two_stands(self, operator):
        run = import_all("email\na@example.com\nb@example.com\nA@Example.COM\n", actor=operator)
        assert run.remarks.get().reason == "The same person stands in line 2."

    def test_finds_a_duplicate_of_an_earlier_chunk(self, operator):
        run = import_all(
            "email\na@example.com\nb@example.com\na@example.com\nb@example.com\nc@example.com\n",
            actor=operator,
            rows=2,
        )
        assert account_of(run) == {"added": 3, "duplicate": 2}

    def test_the_first_row_of_an_address_counts(self, operator):
        import_all("email,city\na@example.com,Rome\na@example.com,Pisa\n", actor=operator, city=1)
        assert Contact.objects.get().attributes == {"city": "Rome"}

    def test_rejects_a_row_with_more_cells_than_the_header(self, operator):
        run = import_all(
            "email,city\na@example.com,Rome,Italy\nb@example.com,Bern,\n", actor=operator
        )
        assert account_of(run) == {"added": 1, "rejected": 1}
        assert "3 cells, the header 2" in run.remarks.get().reason

    def test_keeps_the_rejected_row_as_it_stands(self, operator):
        run = import_all('email,city\nnobody,"Rome, Italy"\n', actor=operator)
        assert run.remarks.get().cells == ["nobody", "Rome, Italy"]

    def test_rejects_an_address_that_only_few_servers_take(self, operator):
        run = import_all("email\nj\u00f6rg@example.com\nj@b\u00fccher.example\n", actor=operator)
        assert account_of(run) == {"added": 1, "rejected": 1}
        assert Contact.objects.get().address_key == "j@xn--bcher-kva.example"

    def test_a_nul_or_a_broken_byte_costs_one_row(self, operator):
        run = upload(b"email,city\na@example.com,Z\xfcrich\nb@example.com,Bern\n", actor=operator)
        assert (run.encoding, run.is_encoding_certain) == ("cp1252", False)
        run.encoding = "utf-8"
        start(run, actor=operator, city=1)
        assert not import_chunk(run_id=run.pk)
        run.refresh_from_db()
        assert account_of(run) == {"added": 1, "rejected": 1}
        assert "no text in the chosen encoding" in run.remarks.get().reason


class TestWhatWasExported:
    def test_makes_nobody_else_of_a_person(self, operator):
        audience = make_audience("+tag@example.com")
        run = import_all(
            "email,phone\n'+tag@example.com,'+49 30 1\n",
            actor=operator,
            audience=audience,
            phone=1,
        )
        assert account_of(run) == {"updated": 1}
        contact = Contact.objects.get()
        assert (contact.address, contact.attributes) == ("+tag@example.com", {"phone": "+49 30 1"})

    def test_an_apostrophe_of_ones_own_stays(self, operator):
        import_all("email,city\na@example.com,'s-Hertogenbosch\n", actor=operator, city=1)
        assert Contact.objects.get().attributes == {"city": "'s-Hertogenbosch"}

    def test_the_columns_are_shown_as_they_are_imported(self, operator):
        run = upload("email,'+phone\na@example.com,'+49 30 1\n", actor=operator)
        assert look(run) == (["email", "+phone"], [["a@example.com", "+49 30 1"]])


class TestBlanksAroundAnAddress:
    @pytest.mark.parametrize("blank", ["\u200b", "\ufeff", "\u00a0", "\u200b" * 330])
    def test_are_not_imported(self, operator, blank):
        run = import_all(f"email\n{blank}John@example.com{blank}\n", actor=operator)
        assert account_of(run) == {"added": 1}
        assert Contact.objects.get().address == "John@example.com"

    def test_are_no_address(self, operator):
        run = import_all("email,city\n\u200b,Rome\n", actor=operator)
        assert run.remarks.get().reason == "There is no address in this row."

    def test_of_stored_ones_are_taken_off(self):
        for name, address in (("a", "\u200ba@example.com\ufeff"), ("b", "b@example.com")):
            Contact.objects.create(address=address, address_key=f"{name}@example.com")
        migration = import_module("mailops.audiences.migrations.0004_trim_addresses").Migration
        with connection.cursor() as cursor:
            for sql, blanks in migration.operations[0].sql:
                cursor.execute(sql, blanks)
        assert set(Contact.objects.values_list("address", flat=True)) == {
            "a@example.com",
            "b@example.com",
        }


class TestEncodings:
    @pytest.mark.parametrize(
        ("bom", "encoding"),
        [
            (b"", "utf-8"),
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (b"", "cp1252"),
        ],
    )
    def test_a_name_comes_in_as_it_was_written(self, operator, bom, encoding):
        text = "email;name\r\na@example.com;Zo\u00eb\r\nb@example.com;M\u00fcller\r\n"
        run = import_all(bom + text.encode(encoding), actor=operator, rows=1, name=1)
        assert run.encoding == encoding
        assert account_of(run) == {"added": 2}
        assert [contact.attributes["name"] for contact in Contact.objects.order_by("id")] == [
            "Zo\u00eb",
            "M\u00fcller",
        ]

    def test_a_file_without_header_is_read_from_its_first_row(self, operator):
        run = import_all("a@example.com,Ada\nb@example.com,Bob\n", actor=operator, name=1)
        assert account_of(run) == {"added": 2}
        assert run.header == ["Column 1", "Column 2"]

    @pytest.mark.parametrize("header", ["email;name\n", ""])
    def test_a_line_for_spreadsheets_is_no_person(self, header, operator):
        text = f"sep=;\r\n{header}ann@x.example;Ann\nbroken;\n"
        run = import_all(text.encode("utf-16"), actor=operator, name=1)
        assert account_of(run) == {"added": 1, "rejected": 1}
        assert run.remarks.get().line == text.count("\n")

    def test_a_header_alone_makes_an_empty_account(self, operator):
        run = import_all("email,name\n", actor=operator)
        assert (run.rows, run.state) == (0, "completed")

    def test_a_row_may_lie_across_pieces(self, operator):
        rows = [f"user{n}@example.com,{'x' * 500}" for n in range(1200)]
        run = upload("email,note\n" + "\n".join(rows) + "\n", actor=operator)
        assert run.size > 2 * PIECE_BYTES
        start(run, actor=operator, note=1)
        while import_chunk(run_id=run.pk, rows=350):
            pass
        assert Membership.objects.count() == 1200

    def test_newlines_in_a_field_are_kept_across_chunks(self, operator):
        text = 'email,note\na@example.com,"one\ntwo"\nb@example.com,"three\r\nfour"\n'
        run = import_all(text, actor=operator, rows=1, note=1)
        assert account_of(run) == {"added": 2}
        assert Contact.objects.get(address="b@example.com").attributes == {"note": "three\r\nfour"}


class TestSuppressed:
    def test_bob_in_capitals_is_the_same_person(self, operator):
        from mailops.protocol.address import address_key

        Suppression.objects.create(
            address="Bob@Example.COM",
            address_key=address_key("Bob@Example.COM"),
            reason="unsubscribe",
        )
        run = import_all("email\nbob@example.com\n", actor=operator)
        assert account_of(run) == {"suppressed": 1}
        assert Suppression.objects.count() == 1
        assert "Unsubscribed" in run.remarks.get().reason

    def test_counts_one_whose_suppression_is_of_one_stream(self, operator):
        Suppression.objects.create(
            address="a@example.com",
            address_key="a@example.com",
            reason="complaint",
            stream=make_stream(),
        )
        run = import_all("email\na@example.com\n", actor=operator)
        assert account_of(run) == {"suppressed": 1}
        assert "in one stream" in run.remarks.get().reason

    def test_an_expired_suppression_is_none(self, operator):
        Suppression.objects.create(
            address="a@example.com",
            address_key="a@example.com",
            reason="soft_bounces",
            expires_at="2020-01-01T00:00:00Z",
        )
        assert account_of(import_all("email\na@example.com\n", actor=operator)) == {"added": 1}


class TestAttributes:
    def test_an_empty_cell_leaves_what_is_known(self, operator):
        audience = make_audience("a@example.com")
        Contact.objects.update(attributes={"city": "Rome", "plan": "pro"})
        run = import_all("email,city\na@example.com,\n", actor=operator, audience=audience, city=1)
        assert account_of(run) == {"unchanged": 1}
        assert Contact.objects.get().attributes == {"city": "Rome", "plan": "pro"}

    def test_the_consent_is_kept_with_the_membership(self, operator):
        import_all("email\na@example.com\n", actor=operator, consent="Shop, 2026")
        assert Membership.objects.get().consent == "Shop, 2026"

    def test_a_change_raises_the_revision_of_every_audience_with_that_person(self, operator):
        other, untouched = make_audience("a@example.com"), make_audience("z@example.com")
        audience = make_audience()
        import_all("email,city\na@example.com,Rome\n", actor=operator, audience=audience, city=1)
        for each in (audience, other, untouched):
            each.refresh_from_db()
        assert (audience.revision, other.revision, untouched.revision) == (1, 1, 0)

    def test_an_import_that_changes_nothing_leaves_the_revision(self, operator):
        audience = make_audience("a@example.com")
        import_all("email\na@example.com\n", actor=operator, audience=audience)
        audience.refresh_from_db()
        assert audience.revision == 0


class TestChunks:
    def test_a_crash_in_mid_chunk_doubles_nothing(self, operator, monkeypatch):
        run = upload("email\na@example.com\nb@example.com\nc@example.com\n", actor=operator)
        start(run, actor=operator)
        import_chunk(run_id=run.pk, rows=1)

        settle = importing.settle

        def settle_and_die(run, rows):
            settle(run, rows)
            raise KeyboardInterrupt

        monkeypatch.setattr(importing, "settle", settle_and_die)
        with pytest.raises(KeyboardInterrupt):
            import_chunk(run_id=run.pk, rows=1)
        monkeypatch.undo()
        assert Membership.objects.count() == 1
        while import_chunk(run_id=run.pk, rows=1):
            pass
        run.refresh_from_db()
        assert account_of(run) == {"added": 3}
        assert run.state == "completed"

    def test_leaves_nothing_of_the_file_behind(self, operator, monkeypatch):
        monkeypatch.setattr(tasks.clear_import, "delay", tasks.clear_import)
        monkeypatch.setattr(tasks.count_attributes, "delay", lambda _: None)
        run = upload("email\na@example.com\n", actor=operator)
        start(run, actor=operator)
        tasks.continue_import(run.pk)
        assert not ImportPiece.objects.exists()
        assert not ImportedAddress.objects.exists()

    def test_does_nothing_for_an_import_that_does_not_run(self, operator):
        run = upload("email\na@example.com\n", actor=operator)
        assert not import_chunk(run_id=run.pk)
        assert not Membership.objects.exists()

    def test_fails_with_a_sentence_after_a_few_failures_in_a_row(self, operator):
        run = upload("email\na@example.com\n", actor=operator)
        start(run, actor=operator)
        for _ in range(MAX_FAILURES):
            note_failure(run_id=run.pk, error=RuntimeError("disk full"))
        run.refresh_from_db()
        assert run.state == "failed"
        assert "line 2" in run.sentence
        assert run.detail == "RuntimeError: disk full"


class TestClearing:
    """What only the reading of a file needed goes in chunks, once the import is over."""

    @pytest.fixture
    def run(self, operator):
        run = upload("email\na@example.com\nb@example.com\nc@example.com\n", actor=operator)
        start(run, actor=operator)
        assert import_chunk(run_id=run.pk, rows=2)
        return run

    def test_keeps_nobody_waiting_who_stops_it(self, run, operator, monkeypatch):
        monkeypatch.setattr(clearing, "CHUNK", 1)
        stop_import(run=run, actor=operator)
        assert ImportedAddress.objects.count() == 2
        assert clearing.uncleared() == [run.pk]
        for left in (2, 1, 0):  # first the file, which is one piece
            assert clear_chunk(run_id=run.pk)
            assert (ImportPiece.objects.count(), ImportedAddress.objects.count()) == (0, left)
        assert not clear_chunk(run_id=run.pk)
        assert clearing.uncleared() == []

    def test_leaves_alone_what_goes_on(self, run):
        assert clearing.uncleared() == []
        assert not clear_chunk(run_id=run.pk)
        assert (ImportPiece.objects.count(), ImportedAddress.objects.count()) == (1, 2)

    def test_goes_on_at_the_tick(self, run, operator, monkeypatch):
        monkeypatch.setattr(clearing, "CHUNK", 1)
        monkeypatch.setattr(tasks.clear_import, "delay", tasks.clear_import)
        monkeypatch.setattr(tasks.count_attributes, "delay", lambda _: None)
        stop_import(run=run, actor=operator)
        tasks.continue_imports()
        assert not ImportPiece.objects.exists()
        assert not ImportedAddress.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestTwoProcesses:
    def test_the_second_finds_the_row_locked_and_leaves(self, operator):
        import threading

        run = upload("email\na@example.com\n", actor=operator)
        start(run, actor=operator)
        results = []

        def try_too():
            try:
                results.append(import_chunk(run_id=run.pk))
            finally:
                connection.close()

        with transaction.atomic():
            Import.objects.select_for_update().get(pk=run.pk)
            thread = threading.Thread(target=try_too)
            thread.start()
            thread.join(10)
        assert results == [False]
        assert not Membership.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestDeletingTheAudience:
    def test_waits_for_the_chunk_of_its_import(self, operator, monkeypatch, meanwhile):
        run = upload("email\na@example.com\n", actor=operator)
        start(run, actor=operator)
        deleting = []

        def settle_while_it_is_deleted(run, rows):
            deleting.append(meanwhile(delete_audience, audience=run.audience, actor=operator))
            settle(run, rows)

        monkeypatch.setattr(importing, "settle", settle_while_it_is_deleted)
        import_chunk(run_id=run.pk)
        assert deleting[0].result() is None
        assert not Audience.objects.exists()
        assert not import_chunk(run_id=run.pk)

    @pytest.mark.parametrize("is_removed", [False, True])
    def test_waits_for_who_adds_or_removes_a_member(
        self, operator, monkeypatch, meanwhile, is_removed
    ):
        audience = make_audience("a@example.com")
        deleting = []

        def raise_while_it_is_deleted(audience_ids):
            deleting.append(meanwhile(delete_audience, audience=audience, actor=operator))
            raise_revisions(audience_ids)

        raise_revisions = curating._raise_revisions
        monkeypatch.setattr(curating, "_raise_revisions", raise_while_it_is_deleted)
        if is_removed:
            remove_member(membership=audience.memberships.get(), actor=operator)
        else:
            add_member(
                audience=audience,
                address="b@example.com",
                consent="a form",
                attributes={},
                actor=operator,
            )
        assert deleting[0].result() is None
        assert not Audience.objects.exists()

    def test_waits_for_who_adds_to_it(self, operator, monkeypatch, meanwhile):
        audience = make_audience()
        deleting = []

        def audit_while_it_is_deleted(**told):
            audit(**told)
            deleting.append(meanwhile(delete_audience, audience=audience, actor=operator))

        audit = uploading.audit
        monkeypatch.setattr(uploading, "audit", audit_while_it_is_deleted)
        upload("email\na@example.com\n", actor=operator, audience=audience)
        assert deleting[0].result() is None
        assert not Import.objects.kept().exists()

    @pytest.mark.parametrize("is_uploaded", [False, True])
    def test_comes_before_who_adds_to_it(self, operator, monkeypatch, meanwhile, is_uploaded):
        audience, adding = make_audience(), []

        def add():
            if is_uploaded:
                upload("email\na@example.com\n", actor=operator, audience=audience)
            else:
                add_member(
                    audience=audience,
                    address="a@example.com",
                    consent="a form",
                    attributes={},
                    actor=operator,
                )

        def audit_while_another_adds(**told):
            audit(**told)
            adding.append(meanwhile(add))

        audit = deleting.audit
        with monkeypatch.context() as beside:
            beside.setattr(deleting, "audit", audit_while_another_adds)
            delete_audience(audience=audience, actor=operator)
        with pytest.raises(ObjectDoesNotExist):
            adding[0].result()
        assert not Contact.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestAddingMembersCrosswise:
    def test_ends_for_both(self, operator, monkeypatch, meanwhile):
        """One adds a member of the second audience to the first, while another does it the other way round."""
        first, second = make_audience("a@example.com"), make_audience("b@example.com")
        adding = []

        def add(audience, address):
            add_member(
                audience=audience,
                address=address,
                consent="a form",
                attributes={"city": "Bern"},
                actor=operator,
            )

        def replace_while_another_adds(*args, **given):
            touched = replace(*args, **given)
            if not adding:
                adding.append(None)
                adding[0] = meanwhile(add, audience=second, address="a@example.com")
            return touched

        replace = curating._replace
        monkeypatch.setattr(curating, "_replace", replace_while_another_adds)
        add(first, "b@example.com")
        assert adding[0].result() is None
        assert first.memberships.count() == second.memberships.count() == 2


class TestVerbs:
    def test_starting_twice_is_refused(self, operator):
        run = upload("email\na@example.com\n", actor=operator)
        start(run, actor=operator)
        with pytest.raises(WrongState):
            start_import(
                run=run, header=["email"], mapping={"address": 0}, consent="", actor=operator
            )

    def test_a_stopped_import_keeps_what_it_has_and_goes_no_further(self, operator):
        run = upload("email\na@example.com\nb@example.com\n", actor=operator)
        start(run, actor=operator)
        import_chunk(run_id=run.pk, rows=1)
        stop_import(run=run, actor=operator)
        assert not import_chunk(run_id=run.pk)
        run.refresh_from_db()
        assert (run.state, run.rows) == ("stopped", 1)
        with pytest.raises(WrongState):
            stop_import(run=run, actor=operator)

    def test_what_was_started_meanwhile_is_not_thrown_away(self, operator):
        run = upload("email\na@example.com\n", actor=operator)
        shown = Import.objects.get(pk=run.pk)
        start(run, actor=operator)
        with pytest.raises(WrongState, match="was not thrown away: it is running already"):
            discard_upload(run=shown, actor=operator)
        assert Import.objects.get(pk=run.pk).is_running

    def test_each_step_is_on_the_audit_trail(self, operator):
        run = upload("email\na@example.com\n", actor=operator)
        start(run, actor=operator)
        stop_import(run=run, actor=operator)
        assert list(AuditEntry.objects.order_by("id").values_list("verb", flat=True)) == [
            "import.upload",
            "import.start",
            "import.stop",
        ]

    def test_a_remark_is_only_kept_where_there_is_something_to_say(self, operator):
        import_all("email\na@example.com\n", actor=operator)
        assert not ImportRemark.objects.exists()


class TestForgottenRemarks:
    def test_go_away_after_a_quarter_and_the_account_stays(self, operator, logged_in):
        old, new = (import_all("email\nnonsense\n", actor=operator) for _ in range(2))
        long_ago = timezone.now() - timedelta(days=91)
        Import.objects.filter(pk=old.pk).update(finished_at=long_ago)
        forget_old_remarks()
        assert list(ImportRemark.objects.values_list("run", flat=True)) == [new.pk]
        page = logged_in(operator).get(reverse("audiences:import-detail", args=[old.pk])).text
        assert "are kept for 90 days" in page
        old.refresh_from_db()
        assert account_of(old) == {"rejected": 1}

    def test_go_away_however_many_there_are(self, operator, monkeypatch):
        monkeypatch.setattr(importing, "FORGOTTEN", 2)
        monkeypatch.setattr(tasks.forget_old_remarks, "delay", tasks.forget_old_remarks)
        run = import_all("email\nnonsense\nmore\nof it\n", actor=operator)
        long_ago = timezone.now() - timedelta(days=91)
        Import.objects.filter(pk=run.pk).update(finished_at=long_ago)
        tasks.forget_old_remarks()
        assert not ImportRemark.objects.exists()


class TestForgottenUploads:
    def test_go_away_after_a_week_with_all_their_data(self, operator):
        old, new = (upload("email\na@example.com\n", actor=operator) for _ in range(2))
        done = import_all("email\na@example.com\n", actor=operator)
        Import.objects.exclude(pk=new.pk).update(created_at=timezone.now() - timedelta(days=8))
        assert drop_forgotten() == 1
        assert set(Import.objects.values_list("pk", flat=True)) == {new.pk, done.pk}
        assert not ImportPiece.objects.filter(run_id=old.pk).exists()
        assert AuditEntry.objects.filter(verb="import.forget", actor=None).count() == 1
