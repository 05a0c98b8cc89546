import pytest
from django.core.management import call_command

from mailops.installation import processes
from mailops.installation.management.commands import prepare


@pytest.mark.parametrize("is_restored", [True, False])
class TestARestoredDatabase:
    def test_is_dealt_with_before_anything_leaves(self, is_restored, settings, monkeypatch):
        settings.MAILOPS_IS_EMBEDDED = settings.MAILOPS_DEMO = False
        done = []
        monkeypatch.setattr(prepare, "look", lambda *, force: done.append(force))
        monkeypatch.setattr(prepare.broker, "install", lambda _: None)
        monkeypatch.setattr(prepare.Watch.objects, "begin", lambda: done.append("watch"))
        for name in ("call_command", "collect_static_files", "record_deploy"):
            monkeypatch.setattr(prepare, name, lambda *_, **__: None)
        call_command("prepare", restored=is_restored)
        assert done == [is_restored, "watch"]

    def test_is_told_to_what_prepares(self, is_restored, monkeypatch):
        called = []
        monkeypatch.setattr(processes, "call_command", lambda *words, **more: called.append(more))
        [[preparing], _] = processes.stages(None, is_restored=is_restored)
        preparing.work()
        assert called == [{"restored": is_restored}]
