"""Where HTML leaves something open, and that sound mail doesn't."""

import pytest

from mailops.content.checking import look_over
from mailops.content.closing import left_open


class TestLeftOpen:
    @pytest.mark.parametrize(
        ("html", "what", "at"),
        [
            ("<p>x</p>\n<!-- never", "<!--", 9),
            ("<!-- one --><!-- two", "<!--", 12),
            ("<style>p { color: red }", "<style", 0),
            ("<title>x</titles>", "<title", 0),
            ("<p>x</p><a href='x>", "<a", 8),
            ("<a title=", "<a", 0),
        ],
    )
    def test_is_told_with_its_place(self, html, what, at):
        assert left_open(html) == (what, at)

    @pytest.mark.parametrize(
        "html",
        [
            "a < b and b > c, 1 <2",
            "<p title=\"a > b\" alt='<b>'>it's</p>",
            "<!-- <style> and <title> --><p>x</p>",
            "<!--[if mso]><table><tr><td><![endif]--><p>x</p><!--[if mso]></td></tr></table><![endif]-->",
            "<style>a > b { content: '<p' }</style><script>if (a < b) {}</script>",
            "<p <b>x</b>",
            "<STYLE></style ><title></TITLE>",
        ],
    )
    def test_is_nothing_in_sound_mail(self, html):
        assert left_open(html) is None

    def test_is_an_error_at_its_line(self):
        html = "<p>{% if a\n %}x{% endif %}</p>\n<!-- never"
        (error,) = look_over(subject="x", html=html, text="", sample={"a": 1}).errors
        assert (error.line, error.sentence) == (3, "“<!--” is opened here and not closed.")

    def test_is_an_error_where_only_the_rendered_mail_has_it(self):
        html = "{% if a %}<!-- {% endif %}<p>x</p>{% if b %} -->{% endif %}"
        (error,) = look_over(subject="x", html=html, text="", sample={"a": 1}).errors
        assert "Rendered" in error.sentence
