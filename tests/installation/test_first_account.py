from mailops.accounts.models import Role, User
from mailops.installation.first_account import EMAIL, make_first_account, password_file


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
