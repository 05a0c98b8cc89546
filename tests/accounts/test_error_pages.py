import re

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import path, reverse

from mailops.accounts.models import Role, User
from mailops.content.models import MailTemplate
from mailops.urls import urlpatterns as ours
from tests.browser import log_in_in_another_tab
from tests.conftest import PASSWORD


def broken(request):
    raise RuntimeError("on purpose")


urlpatterns = [path("broken/", broken), *ours]


class TestErrorPages:
    def test_wrong_role_is_told_which_role_it_has(self, viewer, logged_in):
        response = logged_in(viewer).get(reverse("accounts:users"))
        assert response.status_code == 403
        assert "with the role Viewer. This needs the role Admin." in response.text

    def test_wrong_role_is_told_which_would_do_and_whom_to_ask(self, viewer, admin, logged_in):
        response = logged_in(viewer).post(reverse("campaigns:add"))
        assert "This needs the role Operator or Admin." in response.text
        assert f'Ask <a href="mailto:{admin.email}">' in response.text

    def test_nobody_is_sent_to_an_admin_who_left(self, viewer, admin, logged_in):
        User.objects.create_user("gone@example.com", role=Role.ADMIN, is_active=False)
        assert "gone@" not in logged_in(viewer).get(reverse("accounts:users")).text

    def test_whoever_has_no_role_is_told_it_too(self, stranger, admin, logged_in):
        response = logged_in(stranger).get(reverse("campaigns:list"))
        assert "no role yet. This needs the role Viewer, On-call, Editor, Operator or Admin." in (
            response.text
        )

    def test_missing_page_is_in_our_look(self, viewer, logged_in):
        response = logged_in(viewer).get("/no/such/page/")
        assert response.status_code == 404
        assert "nothing at this address" in response.content.decode()

    def test_a_form_of_what_is_gone_says_where_the_words_are(self, admin, logged_in):
        client, words = logged_in(admin), "What you typed is still there"
        assert words in client.post("/templates/1000/settings/", {"name": "Mine"}).text
        assert words not in client.get("/templates/1000/settings/").text

    def test_missing_page_shows_the_anonymous_where_to_log_in_and_no_empty_navigation(
        self, client, db
    ):
        response = client.get("/no/such/page/")
        assert response.status_code == 404
        assert "<nav" not in response.text
        assert f'href="{reverse("account_login")}"' in response.text

    def test_forged_form_is_refused_in_words(self, client, db):
        client.handler.enforce_csrf_checks = True
        response = client.post(reverse("account_login"), {"login": "x"})
        assert response.status_code == 403
        assert "made for another log-in" in response.text
        assert "You are not logged in now" in response.text

    def test_a_page_of_an_earlier_log_in_goes_on_with_the_token_of_now(self, logged_in, editor):
        client = logged_in(editor)
        client.handler.enforce_csrf_checks = True
        client.get("/templates/new/")
        refused = client.post("/templates/new/", headers={"HX-Request": "true"})
        token = {"X-CSRFToken": refused["X-CSRFToken"], "HX-Request": "true"}
        assert (refused.status_code, client.post("/templates/new/", headers=token).status_code) == (
            403,
            422,
        )
        assert "X-CSRFToken" not in client.post("/templates/new/")

    def test_a_wrong_host_name_is_refused_in_words(self, client, db):
        response = client.get("/accounts/login/", headers={"Host": "evil.example"})
        assert response.status_code == 400
        assert "made no sense" in response.content.decode()

    def test_our_own_fault_needs_no_database(self, settings):
        settings.ROOT_URLCONF = __name__
        response = Client(raise_request_exception=False).get("/broken/")
        assert response.status_code == 500
        assert "Something broke on our side" in response.text
        assert re.search(r"when it was: \d+ \w+ \d{4}, \d\d:\d\d:\d\d UTC", response.text)
        assert "what you typed is still there" in response.text


@pytest.mark.broad
@pytest.mark.needs("chromium")
class TestAFormOfAnEarlierLogIn:
    @pytest.mark.parametrize("javascript", [True, False])
    def test_keeps_what_was_typed_for_whoever_goes_back(self, open_page, editor, javascript):
        page = open_page(reverse("content:new"), editor, javascript=javascript)
        page.get_by_label("Name").fill("Typed at length")
        press = page.get_by_role("button", name="Make it and open the editor")
        Session.objects.all().delete()
        log_in_in_another_tab(page, editor.email, PASSWORD)
        press.click()
        page.get_by_role("heading", name="made for another log-in").wait_for()
        assert not MailTemplate.objects.exists()
        if javascript:
            page.get_by_role("button", name="Go back to what you typed").click()
        else:
            page.go_back()
        page.get_by_role("heading", name="New template").wait_for()
        assert page.get_by_label("Name").input_value() == "Typed at length"
        if javascript:
            press.click()
            page.wait_for_url("**/edit/")
            assert MailTemplate.objects.get().name == "Typed at length"

    @pytest.mark.parametrize("has_token", [True, False])
    def test_goes_on_for_whoever_logs_in_only_then(self, open_page, editor, has_token):
        page = open_page(reverse("content:new"), editor)
        page.get_by_label("Name").fill("Typed at length")
        press = page.get_by_role("button", name="Make it and open the editor")
        Session.objects.all().delete()
        if not has_token:
            page.context.clear_cookies()
        press.click()
        told = "Your log-in has ended" if has_token else "You are not logged in now"
        page.get_by_text(told).wait_for()
        log_in_in_another_tab(page, editor.email, PASSWORD)
        page.get_by_role("button", name="Go back to what you typed").click()
        page.get_by_role("heading", name="New template").wait_for()
        press.click()
        page.wait_for_url("**/edit/")
        assert MailTemplate.objects.get().name == "Typed at length"
