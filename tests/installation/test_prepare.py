import pytest
from django.core.management import CommandError, call_command

from mailops.installation import processes
from mailops.installation.management.commands import prepare


@pytest.mark.parametrize("is_restored", [True, False])
class TestARestoredDatabase:
    def test_is_dealt_with_before_anything_leaves(self, is_restored, settings, monkeypatch):
        settings.MAILOPS_IS_EMBEDDED = settings.MAILOPS_DEMO = False
        done = []
        monkeypatch.setattr(prepare, "look", lambda *, force: done.append(force))
        monkeypatch.setattr(prepare, "unmet_demands", list)
        monkeypatch.setattr(prepare.broker, "install", lambda _: None)
        monkeypatch.setattr(prepare.Watch.objects, "begin", lambda: done.append("watch"))
        for name in (
            "call_command", "collect_static_files", "record_deploy", "rows_without_key",
        ):  # fmt: skip
            monkeypatch.setattr(prepare, name, lambda *_, **__: None)
        call_command("prepare", restored=is_restored)
        assert done == [is_restored, "watch"]

    def test_is_told_to_what_prepares(self, is_restored, monkeypatch):
        called = []
        monkeypatch.setattr(processes, "call_command", lambda *words, **more: called.append(more))
        [[preparing], _] = processes.stages(None, is_restored=is_restored)
        preparing.work()
        assert called == [{"restored": is_restored}]


class TestADatabaseThatWillNotDo:
    def test_is_told_and_left_alone(self, settings, monkeypatch):
        settings.MAILOPS_IS_EMBEDDED = False
        monkeypatch.setattr(prepare, "unmet_demands", lambda: ["It is too old."])
        monkeypatch.setattr(prepare, "call_command", lambda *_, **__: pytest.fail("it migrates"))
        with pytest.raises(CommandError, match="It is too old"):
            call_command("prepare")

    def test_ends_what_prepares_with_the_sentence_alone(self, monkeypatch):
        def refuse(*_, **__):
            raise CommandError("It is too old.")

        monkeypatch.setattr(processes, "call_command", refuse)
        [[preparing], _] = processes.stages(None)
        with pytest.raises(SystemExit, match="It is too old"):
            preparing.work()

    def test_is_told_to_whoever_prepares_without_the_embedded_server(self, settings, tmp_path):
        settings.MAILOPS_IS_EMBEDDED, settings.MAILOPS_HOME = True, tmp_path
        with pytest.raises(CommandError, match="starts with mailops"):
            call_command("prepare")


class TestKeysOfAnotherInstallation:
    @pytest.mark.parametrize("lost", [0, 3])
    def test_are_told_in_the_log(self, lost, monkeypatch, caplog):
        monkeypatch.setattr(prepare, "rows_without_key", lambda: lost)
        prepare._tell_of_missing_keys()
        assert ("3 rows hold secrets that can't be opened" in caplog.text) is bool(lost)
