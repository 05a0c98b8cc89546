from django.test import Client
from django.urls import path, reverse

from mailops.urls import urlpatterns as ours


def broken(request):
    raise RuntimeError("on purpose")


urlpatterns = [path("broken/", broken), *ours]


class TestErrorPages:
    def test_wrong_role_is_told_which_role_it_has(self, viewer, logged_in):
        response = logged_in(viewer).get(reverse("accounts:users"))
        assert response.status_code == 403
        assert "with the role Viewer" in response.content.decode()

    def test_missing_page_is_in_our_look(self, viewer, logged_in):
        response = logged_in(viewer).get("/no/such/page/")
        assert response.status_code == 404
        assert "nothing at this address" in response.content.decode()

    def test_missing_page_is_shown_to_the_anonymous(self, client, db):
        assert client.get("/no/such/page/").status_code == 404

    def test_forged_form_is_refused_in_words(self, client, db):
        client.handler.enforce_csrf_checks = True
        response = client.post(reverse("account_login"), {"login": "x"})
        assert response.status_code == 403
        assert "too old" in response.content.decode()

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
        assert "Something broke on our side" in response.content.decode()
