"""Whoever's second factor was reset is told by mail, once, where there is a way."""

import pytest
from django.utils import timezone

from mailops.accounts.managing import reset_second_factor
from mailops.accounts.models import AuditEntry, User
from mailops.digests.trouble import troubles
from mailops.digests.warning import LATE, warn
from mailops.dispatch.preparing import Way, prepare
from mailops.outbox.models import Message
from tests.accounts.second_factors import give_second_factor
from tests.conftest import PASSWORD
from tests.digests.test_sending import job_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def reset(admin, viewer):
    give_second_factor(viewer)
    reset_second_factor(actor=admin, user=viewer)


def test_goes_to_them_once(reset, way, viewer, admin):
    assert (warn(), warn()) == (1, 0)
    message = Message.objects.get()
    assert (message.recipient, message.stream) == (viewer.email, way.stream)
    mail = prepare(job_of(message), message.version, Way("bounces.example.com")).content.decode()
    assert f"{admin.email} reset the second factor of your log-in" in mail


def test_waits_for_a_way(reset, viewer, stream, request):
    assert warn() == 0
    request.getfixturevalue("way")
    assert warn() == 1


def test_whose_mail_is_refused_is_noted_once(reset, way, viewer):
    User.objects.filter(pk=viewer.pk).update(email="no address")
    assert (warn(), warn()) == (0, 0)
    note = AuditEntry.objects.get(verb="user.reset_not_told")
    assert note.subject_id == str(viewer.pk)
    assert "refused" in note.reason


def test_is_not_told_days_later_but_noted_once_and_said_on_the_overview(reset, way, viewer):
    AuditEntry.objects.update(at=timezone.now() - LATE * 1.1)
    assert (warn(), warn()) == (0, 0)
    assert not Message.objects.exists()
    assert AuditEntry.objects.get(verb="user.reset_not_told").subject_id == str(viewer.pk)
    (trouble,) = troubles()
    assert str(viewer) in trouble.title
    assert "no way to send the mail within a day" in trouble.sentence


def test_who_logged_in_since_needs_nobody_to_tell_them(reset, viewer):
    AuditEntry.objects.update(at=timezone.now() - LATE * 1.1)
    warn()
    User.objects.filter(pk=viewer.pk).update(last_login=timezone.now())
    assert not list(troubles())


def test_who_logs_in_next_is_told(reset, viewer, client):
    told = "reset your second factor on"
    for is_first in (True, False):
        page = client.post(
            "/accounts/login/", {"login": viewer.email, "password": PASSWORD}, follow=True
        )
        assert (told in page.text) is is_first
        client.logout()


def test_of_who_was_let_go_nothing_is_told(reset, way, viewer):
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    assert warn() == 0
    assert not Message.objects.exists()
