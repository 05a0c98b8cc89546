import os
import re
import subprocess
import sys
from base64 import b64encode

from django.conf import settings

KEYS = {
    "SECRET_KEY": "x" * 50,
    "MAILOPS_SECRET_KEYS": b64encode(b"s" * 32).decode(),
    "MAILOPS_TOKEN_KEYS": f"k1:{b64encode(b't' * 32).decode()}",
}
SHOW = (
    "from django.conf import settings as s; import json;"
    "print(json.dumps([s.MAILOPS_DEMO, s.MAILOPS_IS_EMBEDDED, s.SESSION_COOKIE_SECURE,"
    " sorted(s.MAILOPS_TRUSTED_RELAYS), s.MAILOPS_NAMESERVERS]))"
)


def manage(*arguments, home, **variables):
    """Run manage.py with nothing but these variables."""
    return subprocess.run(
        [sys.executable, settings.BASE_DIR / "manage.py", *arguments],
        env={"PATH": os.environ["PATH"], "MAILOPS_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


class TestSettings:
    def test_all_wrong_ones_are_reported_together_without_a_trace(self, tmp_path):
        ended = manage(
            *("check",),
            home=tmp_path,
            PORT="http",
            DATABASE_URL="mysql://u:hunter2@h/d",
            MAILOPS_BASE_URL="http://mail.example.com",
            SECRET_KEY="short",
            MAILOPS_TRUSTED_PROXIES="-1",
            MAILOPS_HEARTBEAT_SECONDS="0",
            MAILOPS_DEAD_AFTER_SECONDS="nan",
            MAILOPS_STOP_GRACE_SECONDS="-1",
            MAILOPS_SMTP_PATIENCE="0",
        )
        assert ended.returncode == 1
        told = ended.stderr
        assert "Traceback" not in told
        assert "hunter2" not in told
        for name in (
            "PORT",
            "DATABASE_URL",
            "MAILOPS_BASE_URL",
            "SECRET_KEY",
            "MAILOPS_SECRET_KEYS",
            "MAILOPS_TRUSTED_PROXIES",
            "MAILOPS_HEARTBEAT_SECONDS",
            "MAILOPS_DEAD_AFTER_SECONDS",
            "MAILOPS_STOP_GRACE_SECONDS",
            "MAILOPS_SMTP_PATIENCE",
        ):
            assert f"- {name}" in told
        assert told.count("Fix: ") == told.count("\n- ")

    def test_keys_must_be_given_with_a_database_of_ones_own(self, tmp_path):
        ended = manage("check", home=tmp_path, DATABASE_URL="postgresql://u@h/d")
        assert "with DATABASE_URL mailops makes no keys by itself" in ended.stderr
        assert not (tmp_path / "secrets.json").exists()

    def test_an_embedded_installation_needs_none_and_is_a_demo(self, tmp_path):
        ended = manage("shell", "-v0", "-c", SHOW, home=tmp_path, PORT="8100")
        assert ended.stdout.strip() == (
            '[true, true, false, [["127.0.0.1", 9100]], ["127.0.0.1:11100"]]'
        )

    def test_a_database_of_ones_own_is_no_demo_and_trusts_its_own_sandbox_alone(self, tmp_path):
        url = {"DATABASE_URL": "postgresql://u@h/d", "MAILOPS_BASE_URL": "https://mail.example.com"}
        ended = manage("shell", "-v0", "-c", SHOW, home=tmp_path, **KEYS, **url)
        assert ended.stdout.strip() == ('[false, false, true, [["127.0.0.1", 9000]], []]')

    def test_a_sandbox_that_others_get_to_is_not_trusted(self, tmp_path):
        url = {"DATABASE_URL": "postgresql://u@h/d", "MAILOPS_BASE_URL": "https://mail.example.com"}
        listener = {"MAILOPS_SANDBOX_LISTENER": "0.0.0.0:1025"}
        ended = manage("shell", "-v0", "-c", SHOW, home=tmp_path, **KEYS, **url, **listener)
        assert ended.stdout.strip() == "[false, false, true, [], []]"

    def test_a_worker_that_lives_must_not_be_taken_for_dead(self, tmp_path):
        seconds = {"MAILOPS_HEARTBEAT_SECONDS": "30", "MAILOPS_DEAD_AFTER_SECONDS": "45"}
        ended = manage("check", home=tmp_path, **seconds)
        assert (
            "- MAILOPS_DEAD_AFTER_SECONDS: 45 is less than two heartbeats of 30 s" in ended.stderr
        )

    def test_a_home_that_can_not_be_written_to_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        ended = manage("check", home=tmp_path / "file")
        assert "is not a folder. Fix: give a folder that you may write to" in ended.stderr


class TestTheReadme:
    def test_tells_of_each_variable_that_is_read(self):
        source = (settings.BASE_DIR / "mailops" / "settings" / "environment.py").read_text()
        read = set(re.findall(r'\.read\(\s*"(\w+)"', source))
        rows = re.findall(
            r"^\| (`.+?) \|", (settings.BASE_DIR / "README.md").read_text(), re.MULTILINE
        )
        assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == read


class TestTheTestsOwn:
    def test_do_not_depend_on_the_shell_they_are_run_from(self):
        show = "from django.conf import settings as s; print(s.MAILOPS_BASE_URL, s.MAILOPS_DEMO, s.CELERY_BROKER_URL)"
        ended = subprocess.run(
            [sys.executable, "-c", show],
            cwd=settings.BASE_DIR,
            env={
                "PATH": os.environ["PATH"],
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "MAILOPS_BASE_URL": "https://mail.example.com",
                "MAILOPS_RAW_FEEDBACK_DAYS": "nonsense",
                "MAILOPS_DEMO": "1",
                "CELERY_BROKER_URL": "redis://nowhere",
                "PORT": "http",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.stdout == "http://127.0.0.1:8000 False pgmq://database\n", ended.stderr
