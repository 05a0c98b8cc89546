import pytest
from django.urls import reverse


def form(charset: str) -> dict[str, str]:
    part = '--B\r\nContent-Disposition: form-data; name="name"\r\n\r\n+2AA-\\ud800\r\n--B--\r\n'
    return {"data": part, "content_type": f"multipart/form-data; boundary=B; charset={charset}"}


class TestSoundRequests:
    @pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "hex", "idna", "nope"])
    def test_a_form_that_is_not_utf8_is_refused_in_words(self, charset, admin, logged_in):
        response = logged_in(admin).generic("POST", reverse("audiences:add"), **form(charset))
        assert response.status_code == 400
        assert "made no sense" in response.text

    @pytest.mark.parametrize("charset", ["utf-8", "UTF8", "us-ascii"])
    def test_a_form_that_is_comes_through(self, charset, admin, logged_in):
        response = logged_in(admin).generic("POST", reverse("audiences:add"), **form(charset))
        assert response.status_code == 302

    def test_an_address_with_a_nul_is_not_found(self, client, db):
        for method in (client.get, client.post):
            assert method("/feedback/webhooks/a%00b/").status_code == 404
