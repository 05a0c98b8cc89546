"""The columns of an upload in a real browser: what was typed outlives another reading."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from mailops.audiences.models import Import
from tests.audiences.uploads import upload
from tests.browser import assert_clean


@pytest.mark.broad
@pytest.mark.needs("chromium")
def test_another_reading_keeps_what_was_typed(open_page, operator):
    people = "email,Straße,Ort\na@example.com,Bügel,Köln\n"
    run = upload(people.encode("cp1252"), actor=operator)
    page = open_page(reverse("audiences:import-map", args=[run.pk]), operator)
    consent = page.get_by_label("What says that they agreed?")
    name = page.get_by_label("Attribute name of column Ort")
    consent.fill("Shop, 2026")
    name.fill("city")

    page.get_by_role("combobox", name="Encoding").select_option("cp1251")

    expect(page.locator("#columns")).to_contain_text("Stra\u042fe")
    expect(consent).to_have_value("Shop, 2026")
    expect(name).to_have_value("city")
    page.get_by_role("combobox", name="Encoding").select_option("cp1252")
    expect(page.locator("#columns")).to_contain_text("Straße")
    assert_clean(page)
    consent.press("Enter")
    expect(page).to_have_url(re.compile(reverse("audiences:import-detail", args=[run.pk])))
    run = Import.objects.get()
    assert (run.encoding, run.consent) == ("cp1252", "Shop, 2026")
    assert run.mapping["attributes"]["city"] == 2
