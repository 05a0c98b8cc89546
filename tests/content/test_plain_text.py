"""The text part that is derived from the HTML."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailops.content.plain_text import derive_text
from mailops.content.rendering import RenderError, compile_sources

ROWS = {"rows": [{"name": "Tea", "price": 3}, {"name": "Salt & pepper", "price": 4}]}


def text_of(html, data=None):
    return compile_sources(subject="", html=html, text="").render(data or {}).text


class TestDeriveText:
    def test_keeps_a_loop_over_table_rows(self):
        html = (
            "<table><tr><th>Item</th><th>Price</th></tr>\n{% for row in rows %}\n"
            "<tr><td>{{ row.name }}</td><td>{{ row.price }}</td></tr>{% endfor %}</table><p>Bye</p>"
        )
        assert text_of(html, ROWS) == "Item  Price\nTea  3\nSalt & pepper  4\n\nBye\n"

    def test_keeps_a_condition_around_list_entries(self):
        html = "<ul>{% for row in rows %}{% if row.price > 3 %}<li>{{ row.name }}</li>{% endif %}{% endfor %}</ul>"
        assert text_of(html, ROWS) == "- Salt & pepper\n"

    def test_writes_a_link_with_its_address(self):
        html = '<p><a href="https://x.example/?a={{ id }}&amp;b=1">Look <b>here</b></a></p>'
        assert text_of(html, {"id": 5}) == "Look here (https://x.example/?a=5&b=1)\n"

    def test_writes_an_address_once(self):
        assert text_of('<a href="mailto:a@x.example">a@x.example</a>') == "a@x.example\n"

    def test_leaves_out_styles_and_hidden_words(self):
        html = '<head><title>T</title></head><style>p{}</style><p style="display: none">no</p><p>yes</p>'
        assert text_of(html) == "yes\n"

    def test_survives_tags_inside_of_elements_and_comments(self):
        html = '<p {% if a %}class="{{ a }}"{% endif %}>x</p><!--[if mso]>{{ a }}<![endif]-->y'
        assert text_of(html, {"a": "1"}).startswith("x\n\n")

    def test_drops_escaping_filters(self):
        assert derive_text("{{ a | escape | upcase }} {{ b | safe }}") == (
            "{{ a | upcase }} {{ b | strip_html }}\n"
        )

    def test_says_what_an_image_shows(self):
        assert text_of('<img alt="Our logo" src="x"><hr>Hi<br>there') == (
            "Our logo\n\n----\n\nHi\nthere\n"
        )

    def test_is_made_of_each_rendered_mail_where_tags_straddle_elements(self):
        html = "{% if a %}<table{% else %}<div{% endif %}><p>Hi {{ a }}</p>"
        assert text_of(html, {"a": "Ada {{ x }}"}) == "Hi Ada {{ x }}\n"

    def test_keeps_an_assignment_before_the_document(self):
        assert (
            text_of("{% assign a = 1 %}<!doctype html><html><body>{{ a }}</body></html>") == "1\n"
        )

    def test_numbers_ordered_lists(self):
        assert text_of("<ol><li>a</li><li>b</li></ol>") == "1. a\n2. b\n"

    @pytest.mark.parametrize("html", ["<div>" * 40_000 + "x", "<b><i>" * 20_000, "<" * 100_000])
    def test_ends_on_deep_nesting(self, html):
        derive_text(html)

    @given(st.text(alphabet="<>{}%/ ab\"'=-!pliutrd\n", max_size=120))
    @settings(max_examples=150, deadline=None)
    def test_of_any_template_that_compiles_compiles(self, html):
        try:
            compile_sources(subject="", html=html, text="x")
        except RenderError:
            return
        compile_sources(subject="", html=html, text="")
