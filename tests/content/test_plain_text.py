"""The text part that is derived from the HTML."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailops.content.plain_text import derive_text
from mailops.content.rendering import RenderError, compile_sources
from mailops.content.variables import names_used

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

    @pytest.mark.parametrize(
        ("html", "text"),
        [
            ("<ol start=3><li>a</li><li>b</li></ol>", "3. a\n4. b\n"),
            ("<ol><li value=5>a<li>b</ol>", "5. a\n6. b\n"),
            ("<ol start=-1><li>a</ol>", "1. a\n"),
            ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c\n"),
            ("<ol><li>a<ol><li>b<li>c</ol><li>d</ol>", "1. a\n  1. b\n  2. c\n2. d\n"),
            ("<ul>\n <li>\n <p>a</p></li>\n <li><div>b</div></li></ul>", "- a\n\n- b\n"),
        ],
    )
    def test_shows_where_entries_of_lists_stand(self, html, text):
        assert text_of(html) == text

    @pytest.mark.parametrize(
        ("html", "text"),
        [
            (
                "<ol>{% for row in rows %}<li>{{ row.name }}</li>{% endfor %}<li>You</li></ol>",
                "1. Tea\n2. Salt & pepper\n3. You\n",
            ),
            (
                "<ol start=2>{% if no %}<li value=9>a</li>{% endif %}<li>b</li><li>c</li></ol>",
                "2. b\n3. c\n",
            ),
            (
                "<ol>{% for r in rows %}<li>a<ol>{% for r in rows %}<li>b</li>{% endfor %}</ol></li>{% endfor %}</ol>",
                "1. a\n  1. b\n  2. b\n2. a\n  1. b\n  2. b\n",
            ),
        ],
    )
    def test_numbers_what_a_recipients_data_repeats(self, html, text):
        compiled = compile_sources(subject="", html=html, text="")
        assert compiled.render(ROWS).text == text
        assert set(names_used(compiled.text)) == set(names_used(compiled.html))

    def test_keeps_blanks_and_values_of_what_is_laid_out(self):
        html = "<pre>def f():\n    return {{ x }}</pre><p>b</p>"
        assert text_of(html, {"x": 5}) == "def f():\n    return 5\n\nb\n"

    @pytest.mark.parametrize(
        ("how", "is_hidden"),
        [
            ("hidden", True),
            ("style='max-height: 0; overflow: hidden'", True),
            ("style='max-height:0px'", True),
            ("style='opacity:0!important'", True),
            ("style='max-height:0.5em; opacity: 0.5'", False),
            ("style='line-height:0'", False),
        ],
    )
    def test_leaves_out_what_no_reader_sees(self, how, is_hidden):
        assert text_of(f"<div {how}>First</div><p>b</p>") == (
            "b\n" if is_hidden else "First\n\nb\n"
        )

    @pytest.mark.parametrize("html", ["<div>" * 40_000 + "x", "<b><i>" * 20_000, "<" * 100_000])
    def test_ends_on_deep_nesting(self, html):
        derive_text(html)

    @given(st.text(alphabet="<>{}%/ ab\"'=-!pliutrd\n", max_size=120))
    @settings(max_examples=150)
    def test_of_any_template_that_compiles_compiles(self, html):
        try:
            compile_sources(subject="", html=html, text="x")
        except RenderError:
            return
        compile_sources(subject="", html=html, text="")
