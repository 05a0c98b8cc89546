import pytest
from django.core.management import CommandError, call_command

from mailops.accounts import managing
from mailops.accounts.models import AuditEntry, Role, SecondFactor, User
from tests.accounts.second_factors import give_second_factor


class TestChange:
    def test_is_told_once_that_is_pressed_twice(self, admin, operator):
        for _ in range(2):
            managing.change_user(actor=admin, user=operator, name="Al", role=Role.VIEWER)
        assert AuditEntry.objects.get().after == {"name": "Al", "role": "viewer"}


class TestInvite:
    def test_makes_a_user_who_cannot_log_in_before_the_link_is_used(self, admin):
        invitation = managing.invite(
            actor=admin, email="new@example.com", name="New", role="editor"
        )
        assert not invitation.user.has_usable_password()
        assert invitation.user.login_state == "invited"
        assert AuditEntry.objects.get().after == {"email": "new@example.com", "role": "editor"}

    def test_link_sets_the_password_once(self, admin, client):
        link = managing.invite(actor=admin, email="n@example.com", name="", role="viewer").link
        path = link.removeprefix("http://127.0.0.1:8000")
        form = client.get(path, follow=True)
        action = form.request["PATH_INFO"]
        secret = {"password1": "a long enough one", "password2": "a long enough one"}
        client.post(action, secret)
        assert User.objects.get(email="n@example.com").check_password("a long enough one")
        assert "works no more" in client.get(path, follow=True).content.decode()

    def test_a_newer_link_ends_the_one_before(self, admin, viewer, client):
        old, new = (managing.renew_link(actor=admin, user=viewer).link for _ in range(2))
        assert _is_over(client, old)
        assert not _is_over(client, new)

    def test_links_end_with_the_account_also_where_that_is_given_back(self, admin, viewer, client):
        link = managing.renew_link(actor=admin, user=viewer).link
        managing.deactivate(actor=admin, user=viewer)
        assert _is_over(client, link)
        managing.reactivate(actor=admin, user=viewer)
        assert _is_over(client, link)


def _is_over(client, link):
    page = client.get(link.removeprefix("http://127.0.0.1:8000"), follow=True)
    return "works no more" in page.content.decode()


class TestResetSecondFactor:
    def test_takes_all_away_and_tells_of_it_once(self, admin, viewer):
        give_second_factor(viewer)
        give_second_factor(admin)
        assert managing.reset_second_factor(actor=admin, user=viewer)
        assert not managing.reset_second_factor(actor=admin, user=viewer)
        assert managing.second_factors(viewer) == []
        assert len(managing.second_factors(admin)) == 2
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.subject_id) == ("user.reset_second_factor", str(viewer.pk))
        assert entry.before == {"second factor": ["authenticator app", "recovery codes"]}

    def test_counts_passkeys(self, viewer):
        for _ in range(2):
            SecondFactor.objects.create(user=viewer, type="webauthn", data={})
        assert managing.second_factors(viewer) == ["2 passkeys"]

    def test_from_a_shell_helps_the_only_admin(self, admin, capsys):
        give_second_factor(admin)
        for _ in range(2):
            call_command("reset_second_factor", admin.email.upper())
        said = capsys.readouterr().out
        assert "logs in by the password alone now" in said
        assert "has no second factor" in said
        assert AuditEntry.objects.get().actor_label == "mailops"
        with pytest.raises(CommandError, match="no account"):
            call_command("reset_second_factor", "nobody@example.com")


class TestLogOutElsewhere:
    """Whoever presses it has a request under way by a session that somebody else may end at that moment."""

    def test_is_done_by_the_first_of_two(self, viewer):
        other = User.objects.get(pk=viewer.pk)
        assert managing.log_out_elsewhere(user=viewer)
        assert not managing.log_out_elsewhere(user=other)
        assert AuditEntry.objects.count() == 1
        viewer.refresh_from_db()
        assert viewer.ended_sessions == 1

    def test_gives_no_session_back_that_an_admin_ended(self, admin, viewer):
        other = User.objects.get(pk=viewer.pk)
        managing.deactivate(actor=admin, user=viewer)
        managing.reactivate(actor=admin, user=viewer)
        assert not managing.log_out_elsewhere(user=other)

    def test_nor_one_that_a_new_password_ended(self, viewer):
        other = User.objects.get(pk=viewer.pk)
        viewer.set_password("quite another one")
        viewer.save(update_fields=["password"])
        assert not managing.log_out_elsewhere(user=other)


class TestLastAdmin:
    def test_keeps_the_role(self, admin):
        with pytest.raises(managing.LastAdmin):
            managing.change_user(actor=admin, user=admin, name="", role=Role.VIEWER)
        admin.refresh_from_db()
        assert admin.role == Role.ADMIN

    def test_stays_active(self, admin):
        with pytest.raises(managing.LastAdmin):
            managing.deactivate(actor=admin, user=admin)

    def test_may_go_once_there_is_another(self, admin, operator):
        managing.change_user(actor=admin, user=operator, name="", role=Role.ADMIN)
        managing.deactivate(actor=operator, user=admin)
        admin.refresh_from_db()
        assert not admin.is_active

    def test_deactivated_admin_does_not_count(self, admin, operator):
        managing.change_user(actor=admin, user=operator, name="", role=Role.ADMIN)
        managing.deactivate(actor=admin, user=operator)
        with pytest.raises(managing.LastAdmin):
            managing.deactivate(actor=admin, user=admin)

    def test_one_who_never_set_a_password_does_not_count(self, admin):
        invited = managing.invite(actor=admin, email="new@example.com", name="", role="admin").user
        with pytest.raises(managing.LastAdmin):
            managing.deactivate(actor=admin, user=admin)
        with pytest.raises(managing.LastAdmin):
            managing.change_user(actor=admin, user=admin, name="", role="viewer")
        managing.deactivate(actor=admin, user=invited)
