"""What matters on a page is in sight, in a wide window and on a phone, in a real browser."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from mailops.audiences.models import Contact
from mailops.transports.models import ProviderLimit
from tests.audiences.uploads import upload
from tests.browser import assert_clean, go_on_to
from tests.factories import (
    make_audience,
    make_domain,
    make_message,
    make_stream,
    make_suppression,
    make_transport,
    make_version,
)

pytestmark = pytest.mark.needs("chromium")

LINES_OF_DOMAIN = """heading => {
    const domain = document.createRange();
    domain.selectNodeContents(heading.querySelector("wbr").nextSibling);
    return domain.getClientRects().length;
}"""
LONG_ADDRESS = "annabella.montgomery1234@mail.example.com"


def _fits(box):
    """Tell whether all that stands in the scrolling box is seen without scrolling it."""
    return box.evaluate("box => box.scrollWidth <= box.clientWidth")


class TestTables:
    def test_shows_how_to_take_an_address_off_the_list(self, open_page, operator):
        make_suppression(
            address=LONG_ADDRESS, evidence_text="550 5.1.1 There is no such mailbox here. " * 9
        )
        page = open_page("/suppressions/", operator)
        assert _fits(page.get_by_role("region", name="Suppressions"))

    def test_the_columns_of_a_file_fold_on_a_phone(self, open_page, operator):
        run = upload("email,first_name\nann@example.com,Ann\n", actor=operator)
        page = open_page(reverse("audiences:import-map", args=[run.pk]), operator, width=375)
        assert _fits(page.get_by_role("region", name="Columns of the file"))
        expect(
            page.get_by_role("textbox", name="Attribute name of column first_name")
        ).to_be_visible()

    def test_only_an_attribute_is_asked_for_its_name(self, open_page, operator):
        run = upload("email,first_name\nann@example.com,Ann\n", actor=operator)
        page = open_page(reverse("audiences:import-map", args=[run.pk]), operator)
        name = page.get_by_label("Attribute name of column email")
        expect(name).to_be_hidden()
        page.get_by_label("Use of column email").select_option("An attribute")
        expect(name).to_be_visible()

    def test_a_membership_folds_on_a_phone(self, open_page, operator):
        make_audience(LONG_ADDRESS)
        path = reverse("audiences:contact", args=[Contact.objects.get().pk])
        page = open_page(path, operator, width=375)
        assert _fits(page.get_by_role("region", name="Audiences this contact is in"))
        expect(page.get_by_role("link", name="Remove")).to_be_visible()

    def test_a_long_reply_is_only_begun_on_a_phone(self, open_page, oncall):
        make_suppression(evidence_text="550 5.1.1 There is no such mailbox here. " * 50)
        page = open_page("/suppressions/", oncall, width=375)
        assert page.get_by_role("cell", name="550 5.1.1").bounding_box()["height"] < 150

    def test_a_stream_of_one_word_breaks_where_it_is_named(self, open_page, admin):
        make_stream(name="w" * 100)
        page = open_page("/transports/", admin)
        assert _fits(page.get_by_role("region", name="Transports"))
        go_on_to(page, "/domains/")
        assert _fits(page.get_by_role("region", name="Domains"))
        go_on_to(page, "/reports/objectives/", width=375)
        assert_clean(page)

    def test_a_provider_of_one_word_leaves_its_note_in_sight(self, open_page, viewer):
        ProviderLimit.objects.create(
            mailbox_provider="x" * 60 + ".example", note="Asked for. " * 20
        )
        page = open_page("/transports/providers/", viewer)
        assert _fits(page.get_by_role("region", name="Mailbox providers"))

    def test_values_stand_in_one_column_beside_their_label(self, open_page, operator):
        transport = make_transport()
        streams = [make_stream(name=name, transport=transport) for name in ("Letters", "Orders")]
        page = open_page("/transports/", operator, width=375)
        name = page.get_by_role("rowheader").get_by_role("link").bounding_box()
        letters, orders = (
            page.get_by_role("link", name=stream.name).bounding_box() for stream in streams
        )
        assert name["x"] < letters["x"] == orders["x"]
        assert letters["y"] < orders["y"]


class TestPaper:
    def test_shows_all_of_a_list_and_nothing_to_press(self, open_page, operator):
        make_message(recipient=LONG_ADDRESS, stream=make_stream(name="Letters to everybody " * 4))
        page = open_page(reverse("outbox:list"), operator, theme="dark", width=718)
        page.emulate_media(media="print", color_scheme="dark")
        assert _fits(page.locator(".table-scroll"))
        expect(page.get_by_role("cell", name="just now")).to_be_visible()
        for pressed in (".tabs", ".filters", ".side"):
            expect(page.locator(pressed)).to_be_hidden()


class TestTabs:
    def test_shows_the_tab_of_this_page(self, open_page, operator):
        page = open_page("/feedback/", operator, width=375)
        tabs = page.get_by_role("navigation", name="Messages").bounding_box()
        current = page.get_by_role("link", name="What came back").bounding_box()
        assert tabs["x"] <= current["x"]
        assert current["x"] + current["width"] <= tabs["x"] + tabs["width"]


class TestFilters:
    @pytest.mark.parametrize("width", [1440, 375])
    def test_a_moment_has_room_for_its_time(self, open_page, operator, width):
        page = open_page("/messages/", operator, width=width)
        fields = page.locator("input[type=datetime-local]")
        expect(fields).to_have_count(2)
        assert all(field.bounding_box()["width"] >= 225 for field in fields.all())


class TestHeadings:
    def test_an_address_breaks_behind_its_at(self, open_page, operator):
        entry = make_suppression(address="bruno.yilmaz727@googly.example")
        path = reverse("suppressions:remove", args=[entry.pk])
        page = open_page(path, operator, width=375)
        assert page.locator("h1").evaluate(LINES_OF_DOMAIN) == 1

    def test_a_card_breaks_the_longest_words_in_its_own(self, open_page, operator):
        make_stream(name="s" * 100, domain=make_domain(name=".".join(["d" * 63] * 3)))
        template = make_version(subject="s" * 400).template
        page = open_page(reverse("content:detail", args=[template.pk]), operator, width=375)
        assert_clean(page)
        go_on_to(page, reverse("content:gates"), width=375)
        assert_clean(page)
