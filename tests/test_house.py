"""The law of the house, where the import linter can't see it."""

import re
import tomllib
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command, get_commands
from django.urls import URLResolver, get_resolver, reverse

from mailops.installation import processes

ROOT = Path(settings.BASE_DIR)
CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
][0]
LAYERS = [
    {f"mailops.{name.strip()}" for name in layer.split("|")}
    for layer in reversed(CONTRACT["layers"])
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
OUR_MODELS = [model for model in apps.get_models() if model.__module__.startswith("mailops.")]
LOCKS = ["requirements.txt", "requirements-dev.txt", "requirements-node.txt"]
LOCKS += ["package-lock.json", "tests/node/package-lock.json"]
TEMPLATES = ROOT / "templates"
SOURCES = [*(ROOT / "mailops").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]


def _height(model):
    return HEIGHT.get(apps.get_containing_app_config(model.__module__).name, -1)


class TestModels:
    @pytest.mark.parametrize("model", OUR_MODELS, ids=lambda model: model._meta.label)
    def test_foreign_keys_point_down_or_sideways(self, model):
        for field in model._meta.get_fields():
            if field.is_relation and field.concrete:
                assert _height(field.related_model) <= _height(model), field

    @pytest.mark.parametrize("model", OUR_MODELS, ids=lambda model: model._meta.label)
    def test_are_ordered_by_those_who_ask(self, model):
        assert not model._meta.ordering

    def test_have_their_migrations(self, db):
        said = StringIO()
        call_command("makemigrations", check_changes=True, dry_run=True, stdout=said)
        assert "No changes" in said.getvalue()


def _patterns(resolver, prefix=""):
    for pattern in resolver.url_patterns:
        at = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern, at)
        else:
            yield at, pattern


class TestAddresses:
    # of two at one address the first answers
    PATTERNS = dict(reversed([*_patterns(get_resolver())]))
    OURS = {at for at, p in PATTERNS.items() if p.callback.__module__.startswith("mailops.")}
    MADE_UP = {
        "account_confirm_email": {"key": "x"},
        "account_reset_password_from_key": {"uidb36": "1", "key": "set-password"},
        "mfa_edit_webauthn": {"pk": 1},
        "mfa_remove_webauthn": {"pk": 1},
    }
    # allauth guards its own views; these it shows to everyone, to log in, confirm or start anew
    PUBLIC = {
        "account_confirm_email",
        "account_confirm_login_code",
        "account_inactive",
        "account_login",
        "account_logout",
        "account_reset_password_from_key",
        "account_reset_password_from_key_done",
        "account_signup",  # says that it is closed
        "mfa_authenticate",
    }

    @pytest.mark.parametrize("at", sorted(OURS))
    def test_each_of_ours_says_who_may_come(self, at):
        assert hasattr(self.PATTERNS[at].callback, "permission")

    @pytest.mark.parametrize("at", sorted(OURS))
    def test_each_of_ours_has_a_name(self, at):
        assert self.PATTERNS[at].name

    def test_of_others_only_these_are_open_to_anyone(self, client, db):
        others = {pattern.name for at, pattern in self.PATTERNS.items() if at not in self.OURS}
        closed = {
            name
            for name in others
            if "/accounts/login/?next="
            in client.get(reverse(name, kwargs=self.MADE_UP.get(name))).get("Location", "")
        }
        assert others - closed == self.PUBLIC


class TestLocks:
    @pytest.mark.parametrize("name", LOCKS)
    def test_name_no_host_to_fetch_from(self, name):
        # a lock that names a host can be installed from that host only
        assert not re.search(
            r"https?://|\bresolved\b|--index-url|--find-links", (ROOT / name).read_text()
        )

    @pytest.mark.parametrize("name", LOCKS[:3])
    def test_pin_every_package_by_its_hashes(self, name):
        packages = re.findall(
            r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL
        )
        assert packages
        assert [
            package for package in packages if "==" not in package or "--hash=" not in package
        ] == []


class TestNames:
    def test_no_module_is_named_for_nothing(self):
        nameless = {
            "services",
            "selectors",
            "utils",
            "helpers",
            "managers",
            "exceptions",
            "constants",
        }
        assert [path for path in SOURCES if path.stem in nameless] == []


class TestButtons:
    @pytest.mark.parametrize(
        "path",
        sorted(TEMPLATES.rglob("*.html")),
        ids=lambda path: f"{path.parent.name}/{path.stem}",
    )
    def test_what_is_to_be_pressed_stands_first(self, path):
        for actions in re.findall(r'class="actions"[^>]*>(.*?)</div>', path.read_text(), re.DOTALL):
            first, *others = re.findall(r'class="button([^"]*)"', actions) or [""]
            assert "primary" in first or not any("primary" in other for other in others)


class TestCommands:
    @pytest.mark.parametrize(
        "name", sorted(name for name, app in get_commands().items() if app.startswith("mailops."))
    )
    def test_each_is_told_of(self, name):
        pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        assert any(re.search(rf"\b{name}\b", page.read_text()) for page in pages)


class TestProcesses:
    def test_every_periodic_task_exists(self):
        from mailops.celery import app

        app.loader.import_default_modules()
        assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)

    def test_every_task_goes_to_a_queue_with_a_worker(self):
        from mailops.celery import app

        ours = [task for name, task in app.tasks.items() if not name.startswith("celery.")]
        queues = {getattr(task, "queue", None) or app.conf.task_default_queue for task in ours}
        assert queues <= set(processes.WORKERS) == set(settings.CELERY_TASK_QUEUES)

    def test_every_listener_has_its_command(self):
        assert set(processes.LISTENERS) <= set(get_commands())


def test_rules_that_are_named_by_number_stand_in_the_states():
    told = set(
        re.findall(r"^\| (W\d+) \|", (ROOT / "docs" / "states.md").read_text(), re.MULTILINE)
    )
    named = {rule for file in SOURCES for rule in re.findall(r"\bW\d+\b", file.read_text())}
    assert named
    assert named <= told
