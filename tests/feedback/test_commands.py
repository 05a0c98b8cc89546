"""The commands tell what mails say without a database, and read what is archived again."""

import json
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mailops.accounts.models import AuditEntry
from mailops.feedback.models import RawFeedback
from mailops.outbox.models import Event
from tests.feedback.conftest import complaint_about, receive, report_on, sender_of


def parsed(*files):
    out = StringIO()
    call_command("parse_bounce", *map(str, files), "--json", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


class TestParseBounce:
    def test_prints_a_line_of_json_for_each_file(self, sent, tmp_path):
        bounce, complaint, garbage = (tmp_path / name for name in ("b.eml", "c.eml", "g.eml"))
        bounce.write_bytes(report_on(sent))
        complaint.write_bytes(complaint_about(sent))
        garbage.write_bytes(bytes(range(256)) * 10)
        told = parsed(bounce, complaint, garbage)
        assert [one["type"] for one in told] == ["bounce", "complaint", "other"]
        assert told[0]["file"] == str(bounce)
        assert told[0]["original_message_id"].startswith(f"<{sent.public_id.hex}@")
        assert told[0]["recipients"] == [
            {
                "recipient": "Bob@Example.net",
                "action": "failed",
                "enhanced_status": "5.1.1",
                "code": 550,
                "reason": "unknown_mailbox",
                "permanent": True,
                "fault": "recipient",
                "suppress": True,
                "diagnostic": "550 5.1.1 No such mailbox",
            }
        ]

    def test_a_file_that_is_not_there_is_told(self, tmp_path):
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("parse_bounce", str(tmp_path / "none"), "--json", stdout=out)
        assert "No such file" in json.loads(out.getvalue())["error"]

    @pytest.mark.whole
    def test_needs_no_database(self, tmp_path, settings):
        mail = tmp_path / "m.eml"
        mail.write_bytes(b"Subject: hello\r\n\r\n")
        done = subprocess.run(
            [sys.executable, "manage.py", "parse_bounce", str(mail), "--json"],
            capture_output=True,
            text=True,
            check=True,
            env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "x" * 50,
                 "MAILOPS_SECRET_KEYS": settings.MAILOPS_SECRET_KEYS[0],
                 "MAILOPS_TOKEN_KEYS": f"k1:{settings.MAILOPS_TOKEN_KEYS['k1']}"},
        )  # fmt: skip
        assert json.loads(done.stdout)["type"] == "other"


class TestReplayFeedback:
    def test_reads_again_and_changes_nothing_that_was_right(self, sent):
        row = receive(report_on(sent), sender_of(sent))
        RawFeedback.objects.update(state="quarantined", reason="a mistake")
        out = StringIO()
        call_command("replay_feedback", stdout=out)
        row.refresh_from_db()
        assert out.getvalue() == "read 1 again: 1 processed\n"
        assert (row.state, Event.objects.count()) == ("processed", 1)
        assert AuditEntry.objects.get().verb == "feedback.replay"

    def test_reads_only_what_was_asked_for(self, sent):
        receive(report_on(sent), sender_of(sent))
        out = StringIO()
        call_command("replay_feedback", "--all", "--since", "2999-01-01", stdout=out)
        assert out.getvalue() == "read 0 again: none\n"

    def test_refuses_a_date_that_is_none(self, db):
        with pytest.raises(CommandError):
            call_command("replay_feedback", "--since", "2026-99-99")
