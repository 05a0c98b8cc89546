import pytest
from django.contrib import messages
from django.contrib.messages.storage.fallback import FallbackStorage

from mailops.lib.htmx import path_of_page, render_page, wants_fragment

HTMX = {"HX-Request": "true"}


@pytest.fixture
def request_for(rf, admin):
    def make(headers):
        request = rf.get("/settings/audit/", headers=headers)
        request.user, request.session, request.resolver_match = admin, {}, None
        request._messages = FallbackStorage(request)
        return request

    return make


def _page(request):
    return render_page(request, "accounts/audit_list.html", {"entries": []}, fragment="entries")


class TestRenderPage:
    def test_gives_a_visit_the_whole_page(self, request_for):
        assert "<!doctype html>" in _page(request_for({})).content.decode()

    def test_gives_htmx_the_fragment(self, request_for):
        page = _page(request_for(HTMX)).content.decode()
        assert page.strip().startswith('<div id="entries"')
        assert "<!doctype" not in page

    @pytest.mark.parametrize("header", ["HX-Boosted", "HX-History-Restore-Request"])
    def test_gives_the_whole_page_where_htmx_shows_a_page(self, header, request_for):
        assert not wants_fragment(request_for({**HTMX, header: "true"}))

    def test_keeps_caches_from_mixing_the_two(self, request_for):
        assert "HX-Request" in _page(request_for({}))["Vary"]

    def test_brings_new_notices_with_a_fragment(self, request_for):
        request = request_for(HTMX)
        messages.success(request, "Saved.")
        page = _page(request).content.decode()
        assert 'hx-swap-oob="beforeend"' in page
        assert "Saved." in page


class TestPathOfPage:
    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("https://mail.example/domains/?page=2&q=%26#top", "/domains/?page=2&q=%26"),
            ("http://[", "/"),
            ("http://a:x/b", "/b"),
            ("", "/"),
            ("javascript:alert(1)", "/"),
            ("https://mail.example//evil.example", "/"),
        ],
    )
    def test_is_where_htmx_asked_from(self, url, path, rf):
        assert path_of_page(rf.get("/", headers={"HX-Current-URL": url})) == path
