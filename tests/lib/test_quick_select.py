"""A select written in one go says what Django's own says."""

from html.parser import HTMLParser

import pytest
from django import forms

from mailops.lib.quick_select import QuickSelect

CHOICES = [("", "All"), (3, "Three"), ("<a&\"'>", "<b>&\"'</b>")]


class _Said(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, sorted(attrs)))

    def handle_data(self, data):
        if data.strip():
            self.tags.append(data.strip())


@pytest.mark.parametrize("value", ["", "3", 3, None, "<a&\"'>", "none of them"])
@pytest.mark.parametrize("attrs", [None, {"id": "id_x", "required": True, "aria-invalid": "true"}])
def test_says_what_djangos_says(value, attrs):
    said, expected = (
        _Said(kind(attrs={"class": "q"}, choices=CHOICES).render("x", value, attrs)).tags
        for kind in (QuickSelect, forms.Select)
    )
    assert said == expected


def test_stands_in_a_form_with_its_label():
    class Form(forms.Form):
        by = forms.ChoiceField(choices=[("a", "A"), ("b", "B")], widget=QuickSelect)

    assert '<option value="b" selected>B</option>' in str(Form({"by": "b"})["by"])
