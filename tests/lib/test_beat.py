import errno
import shelve
from datetime import timedelta

import pytest

from mailops.celery import app
from mailops.lib.beat import Scheduler

HOURS = timedelta(hours=2)


def over(path):
    scheduler = Scheduler(app, schedule_filename=str(path))
    scheduler.sent, scheduler.producer = [], None
    scheduler.apply_entry = lambda entry, producer=None: scheduler.sent.append(entry.name)
    return scheduler


@pytest.fixture
def scheduler(tmp_path):
    scheduler = over(tmp_path / "beat")
    yield scheduler
    scheduler.close()


class TestScheduler:
    def test_beat_uses_it(self):
        assert app.conf.beat_scheduler == "mailops.lib.beat:Scheduler"

    def test_goes_on_where_the_clock_was_put_back(self, scheduler, time_machine):
        began_at = app.now()
        time_machine.move_to(began_at, tick=False)
        scheduler.tick()
        time_machine.move_to(began_at + HOURS, tick=False)
        for _ in scheduler.schedule:
            scheduler.tick()
        assert "dispatch.tick" in scheduler.sent
        scheduler.sent.clear()
        time_machine.move_to(began_at, tick=False)
        scheduler.tick()
        time_machine.move_to(began_at + timedelta(seconds=2), tick=False)
        for _ in range(3):
            scheduler.tick()
        assert "dispatch.tick" in scheduler.sent

    def test_waits_as_long_as_always_where_nothing_was_put(self, scheduler, time_machine):
        time_machine.move_to(app.now(), tick=False)
        for _ in range(2 * len(scheduler.schedule)):
            wait = scheduler.tick()
        scheduler.sent.clear()
        assert 0 < wait <= 1
        scheduler.tick()
        assert scheduler.sent == []

    def test_begins_where_the_disk_is_full(self, tmp_path, time_machine, monkeypatch, caplog):
        def refuse(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(shelve, "open", refuse)
        time_machine.move_to(app.now(), tick=False)
        scheduler = over(tmp_path / "beat")
        time_machine.shift(HOURS)
        for _ in scheduler.schedule:
            scheduler.tick()
        scheduler.sync()
        scheduler.close()
        assert "dispatch.tick" in scheduler.sent
        assert "No space left on device" in caplog.text

    def test_makes_a_file_anew_that_can_not_be_read(self, tmp_path, caplog):
        for name in ("beat", "beat.db"):
            (tmp_path / name).write_bytes(b"no schedule" * 999)
        over(tmp_path / "beat").close()
        assert "Removing corrupted schedule file" in caplog.text
        assert "is forgotten" not in caplog.text
