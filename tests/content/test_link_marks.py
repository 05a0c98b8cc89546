"""Links are found in a template's HTML as mail programs find them, and nothing else of the mail changes."""

import re

import pytest
from hypothesis import example, given
from hypothesis import settings as checks
from hypothesis import strategies as st

from mailops.content.link_marks import address_in, mark_links
from mailops.content.rendering import compile_marked, compile_version, links_of
from tests.factories import make_version


def led(source):
    """Return what is led through us of a source without Liquid, and the HTML it leaves."""
    marks, found = mark_links(source), []

    def put(_link, value):
        found.append(address_in(value))
        return "*"

    return found, marks.fill(marks.source, put, "")


class TestFound:
    @pytest.mark.parametrize(
        ("source", "address", "html"),
        [
            ('<a href="https://a/">x</a>', "https://a/", '<a href="*">x</a>'),
            ("<A class=c HREF='HTTP://a/'>x</A>", "HTTP://a/", "<A class=c HREF='*'>x</A>"),
            ("<a href=https://a/b/>x</a>", "https://a/b/", "<a href=*>x</a>"),
            ("<a\nhref\n=\n'https://a/'\n>x</a>", "https://a/", "<a\nhref\n=\n'*'\n>x</a>"),
            ('<a/href="https://a/">', "https://a/", '<a/href="*">'),
            ('<area shape=rect href="https://a/">', "https://a/", '<area shape=rect href="*">'),
            ('<a title=">" href="https://a/">', "https://a/", '<a title=">" href="*">'),
            ('<a href=" \n https://a/\tb ">', "https://a/b", '<a href="*">'),
            ('<a href="&#104;ttps://a/?x=1&amp;y=2">', "https://a/?x=1&y=2", '<a href="*">'),
            ('<a href="https://a/?x=1&copy=2&lang=de&reg">', "https://a/?x=1&copy=2&lang=de®", '<a href="*">'),
            ('<!--[if mso]><v:rect href="https://a/"><![endif]-->', "https://a/", '<!--[if mso]><v:rect href="*"><![endif]-->'),
            ('<!--[if !mso]><!--><a href="https://a/"><!--<![endif]-->', "https://a/", '<!--[if !mso]><!--><a href="*"><!--<![endif]-->'),
            ('<!--><a href="https://a/">', "https://a/", '<!--><a href="*">'),
            ('<p title="<a href=\'https://no/\'>"><a href="https://a/">', "https://a/", '<p title="<a href=\'https://no/\'>"><a href="*">'),
            ('<a href="https://a/"><a href="mailto:x@y">', "https://a/", '<a href="*"><a href="mailto:x@y">'),
            ('<svg><a href="https://a/">', "https://a/", '<svg><a href="*">'),
        ],
    )  # fmt: skip
    def test_in_any_spelling(self, source, address, html):
        assert led(source) == ([address], html)

    @pytest.mark.parametrize(
        "source",
        [
            "<a>x</a>", "<a name=top>", '<a href="">', '<a href="#top">', '<a href="mailto:a@b.example">',
            '<a href="tel:+491234">', '<a href="sms:+49">', '<a href="cid:x">', '<a href="/relative">',
            '<a href="//host/path">', '<a href="javascript:https://a/">', '<a href="data:text/html,https://a/">',
            '<!-- <a href="https://a/"> -->', "<!-- [if mso] <a href='https://a/'> -->", '<style>a[href="https://a/"]{}</style>',
            '<title><a href="https://a/"></title>', "<script>'<a href=\"https://a/\">'</script>",
            '<textarea><a href="https://a/"></textarea>', '<link href="https://a/"><base href="https://a/">',
            '<a data-href="https://a/">', '<img src="https://a/">', '<form action="https://a/">',
            '<a href="https://a/" data-track="off">', "<a DATA-TRACK=Off href=https://a/>", "<a data-track='0' href='https://a/'>",
            '<a href="https://a/" rel="noopener No-Track">', '<a href="https://a/', '<a title="never closed href="https://a/">', '<a href="https://a/"',
            '<abbr href="https://a/">', '</a href="https://a/">', '{% raw %}<a href="https://a/">{% endraw %}',
            '{% comment %}<a href="https://a/">{% endcomment %}', '{% capture x %}<a href="https://a/">{% endcapture %}{{ x }}',
            '<a href="{{ unsubscribe_url }}">', '<a {{ name }}="https://a/">',
        ],
    )  # fmt: skip
    def test_all_else_is_left_alone(self, source):
        assert led(source) == ([], source)

    def test_what_was_said_often_is_one_link(self):
        marks = mark_links(
            "<a href=\"https://a/?x=1&amp;y=2\">1</a><a href='https://a/?x=1&y=2'>2</a>"
        )
        assert {link.written for link in marks.links} == {"https://a/?x=1&y=2"}


def rendered(source, **data):
    """Return a source with its values filled in: marked, unmarked, and with each link a star."""
    version = make_version(html=source)
    marked = compile_marked(version).render(data)
    plain = compile_version(version).render(data)
    assert marked.marks.strip(marked.html) == plain.html
    assert marked.text == plain.text
    return plain.html, marked.marks.fill(marked.html, lambda *_: "*", "")


@pytest.mark.django_db
class TestRendered:
    @pytest.mark.parametrize(
        ("source", "html"),
        [
            ('<a href="{{ link }}">x</a>', '<a href="*">x</a>'),
            ("<a href={{ link }}>x</a>", "<a href=*>x</a>"),
            ('<a href="https://a/{{ id }}?b={{ name | url_encode }}">', '<a href="*">'),
            ('<a {% if vip %}href="https://v/"{% else %}href=\'https://n/\'{% endif %} class=b>', "<a href='*' class=b>"),
            ('<a href="{% if vip %}https://v/{% else %}https://n/{% endif %}">', '<a href="*">'),
            ('{% for n in numbers %}<a href="https://a/{{ n }}">{% endfor %}', '<a href="*"><a href="*">'),
            ('<a href=" {{- link -}} ">', '<a href="*">'),
            ("<a {{ name }} href=https://a/>", "<a Ann href=*>"),
            ('{% if vip %}<a href="https://v/">{% else %}<a href="https://n/">{% endif %}', '<a href="*">'),
        ],
    )  # fmt: skip
    def test_values_and_conditions(self, source, html):
        _, starred = rendered(source, link="https://l/?a=1&b=2", id=7, name="Ann", numbers=[1, 2])
        assert starred == html

    @pytest.mark.parametrize(
        "source",
        [
            '<a href="https://x{% if vip %}" class="b"{% else %}" title="t"{% endif %}>',  # ends in other places
            "<a href={{- link -}} class=b>",  # trims what is around it
        ],
    )
    def test_what_may_go_wrong_is_left_or_put_right(self, source):
        plain, starred = rendered(source, link="https://l/")
        assert starred in {plain, plain.replace("https://x", "*")}

    def test_a_value_can_not_end_what_it_stands_in(self):
        plain, starred = rendered("<a href={{ link }}>x</a>", link="https://l/ onclick=1")
        assert starred == plain

    @pytest.mark.parametrize("value", ["\x020;https://evil/\x030;", "\x02", "\x03", "\x02p;"])
    def test_a_value_can_not_forge_a_mark(self, value):
        plain, starred = rendered(
            '<p>{{ name }}</p><a href="{{ link }}">', name=value, link="#x" + value
        )
        assert value in plain
        assert starred == plain or starred == re.sub('href="[^"]*"', 'href="*"', plain)

    def test_a_derived_text_has_no_marks(self):
        version = make_version(html='<p>{% if vip %}<a href="https://a/">x{% endif %}</p>', text="")
        assert "\x02" not in compile_marked(version).render({"vip": True}).text

    def test_other_languages_have_marks_of_their_own(self):
        variants = {
            "de": {"subject": "S", "html": '<a href="https://de/">', "text": "t"},
            "at": {"same_as": "de"},
        }
        version = make_version(html='<a href="https://en/">', variants=variants)
        assert set(links_of(version)) == {"https://en/", "https://de/"}

    def test_a_source_too_long_for_marks_goes_without(self, monkeypatch):
        version = make_version(html='<a href="https://a/">')
        monkeypatch.setattr("mailops.content.limits.MAX_SOURCE", len(version.html) + 1)
        assert compile_marked(version).marks is None


_PIECES = st.sampled_from(
    [
        "<a ", "<A\n", "<area ", "</a>", "<p>", "<!--", "-->", "--!>", "<!--[if mso]>", "<![endif]-->", "<!-->", "href=", "HREF = ",
        "data-track=off ", "title=", '"', "'", ">", "/>", " ", "\n", "=", "https://a/", "http://b?c=1&amp;d=2", "javascript:x",
        "&#104;ttps://e/", "<style>", "</style>", "<title>", "</title>", "<script>", "</script>", "</body>", "<br/", "\x02", "\x03", "\ue000",
        "{{ x }}", "{% if x %}", "{% else %}", "{% endif %}", "{{- x -}}", "{% raw %}", "{% endraw %}", "ä", "\0", "<", "&",
    ]
)  # fmt: skip


class TestAddress:
    @pytest.mark.parametrize("digits", ["9" * 5000, "0" * 5000])
    def test_with_a_reference_of_thousands_of_digits_is_read(self, digits):
        value = f"https://a.example/?a=&#{digits};&amp;b"
        assert address_in(value) == "https://a.example/?a=\ufffd&b"
        assert [link.quote for link in mark_links(f'<a href="{value}">x</a>').links] == ['"']


class TestAnyHtml:
    @checks(max_examples=120)
    @given(st.lists(_PIECES, max_size=30).map("".join))
    @example("<a href=" * 50)
    def test_is_what_it_was_without_its_marks(self, source):
        marks = mark_links(source)
        assert marks.strip(marks.source) == source
        assert marks.fill(marks.source, None, "") == source
        assert marks.fill(marks.source, lambda *_: "", "") == source

    @pytest.mark.parametrize(
        "source", ["<a href='" * 20_000, "<!--" * 50_000, "<a " + "x= " * 60_000, "<a ={{x}}=" * 20_000, "<title>" * 30_000]
    )  # fmt: skip
    def test_is_read_in_linear_time(self, source):
        assert mark_links(source[: 256 * 1024]).links == ()
