import pytest

from mailops.accounts.models import Role, User
from mailops.installation.first_account import EMAIL, make_first_account, password_file
from mailops.installation.management.commands.up import _ready_line


class TestFirstAccount:
    def test_is_an_admin_whose_password_is_in_a_private_file(self, db, tmp_path):
        make_first_account(tmp_path)
        user = User.objects.get()
        assert (user.email, user.role) == (EMAIL, Role.ADMIN)
        assert user.check_password(password_file(tmp_path).read_text().strip())
        assert password_file(tmp_path).stat().st_mode & 0o777 == 0o600

    def test_is_made_only_where_there_is_none(self, viewer, tmp_path):
        make_first_account(tmp_path)
        assert list(User.objects.all()) == [viewer]
        assert not password_file(tmp_path).exists()

    def test_keeps_a_password_that_was_written_before_a_crash(self, db, tmp_path):
        password_file(tmp_path).write_text("written-before\n")
        make_first_account(tmp_path)
        assert User.objects.get().check_password("written-before")

    def test_makes_a_password_where_a_full_disk_left_an_empty_file(self, db, tmp_path):
        password_file(tmp_path).touch(mode=0o600)
        make_first_account(tmp_path)
        password = password_file(tmp_path).read_text().strip()
        assert len(password) > 10
        assert User.objects.get().check_password(password)


@pytest.mark.django_db(transaction=True)
class TestReadyLine:
    """The last line that `make up` prints at its start."""

    @pytest.fixture(autouse=True)
    def home(self, settings, tmp_path):
        settings.MAILOPS_IS_EMBEDDED = True
        settings.MAILOPS_HOME = tmp_path / "of mine"
        settings.MAILOPS_HOME.mkdir()
        return settings.MAILOPS_HOME

    def test_says_what_to_type_where_there_is_no_account(self, home):
        typed = f"MAILOPS_HOME='{home}' .venv/bin/python manage.py createsuperuser"
        assert _ready_line(home).endswith(f"there is no account yet; make the first: {typed}")

    def test_leaves_the_usual_home_out(self, settings):
        settings.MAILOPS_HOME = settings.BASE_DIR / ".mailops"
        line = _ready_line(settings.BASE_DIR / "nowhere")
        assert line.endswith("make the first: .venv/bin/python manage.py createsuperuser")

    def test_prints_no_password_of_a_database(self, settings, home):
        settings.MAILOPS_IS_EMBEDDED = False
        assert _ready_line(home).endswith("createsuperuser, with the same variables set as here")

    def test_tells_of_no_command_where_there_is_an_account(self, home):
        User.objects.create_user("ada@acme.example", "a-long-password")
        assert _ready_line(home).endswith("– log in with an account of yours")

    def test_names_the_ready_made_account(self, home):
        make_first_account(home)
        assert f"log in as {EMAIL} (password in {password_file(home)})" in _ready_line(home)
