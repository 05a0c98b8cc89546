"""Rendering: what a recipient gets, and what a hostile template can't do."""

import unicodedata
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailops.content.rendering import RenderError, compile_sources, compile_version, parse


class TestHostileTemplates:
    def test_a_width_in_a_date_format_does_not_pad_without_bound(self):
        rendered = compile_sources(
            subject="", html='{{ "now" | date: "%1000000000d" }}', text="x"
        ).render({})
        assert len(rendered.html) < 10_000

    @given(st.text(alphabet="{}%|'\". abcfor=-:,()1\n", max_size=80))
    @settings(max_examples=150)
    def test_any_source_renders_or_is_refused(self, source):
        with suppress(RenderError):
            compile_sources(subject=source, html=source, text=source).render({"a": "1"})


class TestErrors:
    @pytest.mark.parametrize(
        ("source", "line", "words"),
        [
            ("{% for x in a %}\n\nfoo", 1, "no “endfor”"),
            ("a\n{{ x | nope }}", 2, "nope"),
            ("\n\n{% raw %}", 3, "not closed"),
            ("\n{{ a", 2, "not closed"),
            ("\n{% liquid\nassign a = \n%}", 3, "Expected"),
            ("a\n{% if a == %}x{% endif %}", 2, "Expected"),
            ("{% liquid\n assign a = 1\n foo\n%}", 3, "foo"),
        ],
    )
    def test_name_the_line(self, source, line, words):
        with pytest.raises(RenderError, match=words) as caught:
            parse(source, "html")
        assert (caught.value.line, caught.value.part) == (line, "html")

    def test_of_rendering_name_the_line(self):
        compiled = compile_sources(subject="", html="a\n{{ 1 | divided_by: n }}", text="x")
        with pytest.raises(RenderError) as caught:
            compiled.render({"n": 0})
        assert str(caught.value).startswith("HTML line 2: ")


class TestRender:
    def render(self, data, *, subject="Hi {{ name }}", html="<p>{{ name }}</p>", text=""):
        return compile_sources(subject=subject, html=html, text=text).render(data)

    def test_escapes_in_html_alone(self):
        rendered = self.render({"name": "<A & B>"})
        assert rendered.html == "<p>&lt;A &amp; B&gt;</p>"
        assert rendered.text == "<A & B>\n"
        assert rendered.subject == "Hi <A & B>"

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
    def test_keeps_any_subject_on_one_line(self, name):
        subject = self.render({"name": name}).subject
        assert len(subject.splitlines()) == 1
        assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in subject)

    @pytest.mark.parametrize(
        "name", ["👩\u200d💻", "می\u200cخواهم", "\U0001fae8", "🏴\U000e0067\U000e007f"]
    )
    def test_keeps_what_letters_and_emoji_are_made_with(self, name):
        assert self.render({"name": name}).subject == f"Hi {name}"

    def test_lets_no_value_turn_a_subject_around(self):
        assert self.render({"name": "\u202egpj.\u2066exe"}).subject == "Hi gpj. exe"

    def test_refuses_a_subject_of_many_characters(self):
        with pytest.raises(RenderError, match="500"):
            self.render({"name": "x" * 600})

    def test_leaves_out_what_is_not_given(self):
        assert self.render({}).html == "<p></p>"

    def test_makes_a_mail_of_text_alone(self):
        rendered = self.render({"name": "Ada"}, html="", text="Hello {{ name }}")
        assert (rendered.html, rendered.text) == ("", "Hello Ada")

    def test_takes_a_nul_out(self):
        assert self.render({"name": "a\0b"}).html == "<p>ab</p>"

    def test_keeps_compiled_versions(self):
        version = SimpleNamespace(
            pk=7, content_hash="h", subject="a", html="b", text="c", variants={}
        )
        assert compile_version(version) is compile_version(version)

    def test_compiles_anew_when_the_content_differs(self):
        version = SimpleNamespace(
            pk=7, content_hash="h", subject="a", html="b", text="c", variants={}
        )
        first = compile_version(version)
        version.content_hash = "other"
        assert compile_version(version) is not first
