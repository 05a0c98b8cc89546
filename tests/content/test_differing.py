"""What a comparison of two states of a template shows."""

import pytest
from django.urls import reverse

from mailops.content.differing import State, compare
from mailops.content.models import MailTemplate
from mailops.content.publishing import publish

HTML = '<p>Hello {{ first_name }}</p><a href="https://a.example/">Shop</a>'


@pytest.fixture
def template(db, editor):
    made = MailTemplate.objects.create(
        name="T", draft_subject="Hi", draft_html=HTML, sample={"first_name": "Ada"}
    )
    made.variants.create(
        language="de", draft_subject="Hallo", draft_html=HTML.replace("Hello", "Hallo")
    )
    publish(made, editor)
    return made


def differences(template):
    parts = compare(State.of_version(template.latest_version), State.of_draft(template))
    return {label: [(line.kind, line.text) for line in lines] for label, lines in parts}


class TestCompare:
    def test_finds_nothing_where_nothing_changed(self, template):
        assert differences(template) == {}

    def test_holds_no_lines_against_each_other_where_there_are_too_many(self):
        old, new = (
            State("x", "", "".join(f"same {n}\n{word} {n}\n" for n in range(5000)), "", {})
            for word in ("old", "new")
        )
        ((_, lines),) = [each for each in compare(old, new) if each[0] == "Source"]
        kinds = [line.kind for line in lines]
        assert kinds == ["del"] * 10_000 + ["ins"] * 10_000

    def test_tells_what_changed_in_a_language(self, template):
        template.variants.update(
            draft_subject="Guten Tag",
            draft_html=HTML.replace("a.example", "b.example").replace("first_name", "name"),
            also_for="gsw",
        )
        found = differences(template)
        assert found["Subject in de"] == [("del", "Hallo"), ("ins", "Guten Tag")]
        assert found["Links in de"] == [
            ("del", "https://a.example/"),
            ("ins", "https://b.example/"),
        ]
        assert found["Variables in de"] == [("del", "first_name"), ("ins", "name")]
        assert found["Also for in de"] == [("ins", "gsw")]
        assert {"Source in de", "Text as it arrives in de"} <= set(found)
        assert not [label for label in found if not label.endswith("in de")]

    def test_tells_of_a_language_that_came_or_went(self, template, editor):
        template.variants.all().delete()
        assert differences(template)["Subject in de"] == [("del", "Hallo")]
        template.variants.create(language="fr", draft_subject="Salut", draft_html=HTML)
        assert differences(template)["Subject in fr"] == [("ins", "Salut")]

    def test_shows_words_that_the_sample_hides(self, template):
        template.draft_text = "Hello{% if vip %}, dear{% endif %}"
        template.sample = {"first_name": "Ada", "vip": False}
        template.save()
        found = differences(template)
        assert ("ins", "Hello{% if vip %}, dear{% endif %}") in found["Text, written by hand"]
        assert ("ins", '  "vip": false') in found["Sample data"]

    def test_shows_another_block_beside_other_words(self, template, editor):
        block = MailTemplate.objects.create(name="Foot", kind="block", draft_html="<p>One</p>")
        publish(block, editor)
        template.draft_html += "{% render 'Foot' %}"
        template.save()
        publish(template, editor)
        block.draft_html = "<p>Two</p>"
        block.save()
        publish(block, editor)
        template.draft_html += "<p>More</p>"
        template.save()
        assert ("ins", "<p>Two</p><p>More</p>") in [
            (kind, text[text.index("<p>Two") :])
            for kind, text in differences(template)["HTML as it is sent"]
            if "Two" in text
        ]

    def test_stands_on_every_page_that_asks_for_a_decision(self, logged_in, viewer, template):
        template.variants.update(draft_subject="Guten Tag")
        address = reverse("content:diff", args=[template.pk])
        page = logged_in(viewer).get(address, {"old": "1", "new": "draft"}).content.decode()
        assert "<ins>Guten Tag</ins>" in page
