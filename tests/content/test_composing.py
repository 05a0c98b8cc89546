"""A mail is put together from its source, its layout and blocks, and nothing of Liquid gets lost on the way."""

import re

import pytest
from selectolax.lexbor import LexborHTMLParser

from mailops.content import child
from mailops.content.checking import look_over
from mailops.content.child import CompileFault, ask_child
from mailops.content.composing import Uncomposable, compose
from mailops.content.hardening import harden
from mailops.content.inlining import inline_styles
from mailops.content.mjml import WrongSource, compile_mjml, find_mistakes
from mailops.content.models import MailTemplate
from mailops.content.publishing import publish
from mailops.content.rendering import compile_sources
from mailops.content.starters import STARTERS


def mjml(inside):
    return (
        f"<mjml><mj-body><mj-section><mj-column>{inside}</mj-column></mj-section></mj-body></mjml>"
    )


def rendered(html, data):
    return compile_sources(subject="", html=html, text="x").render(data).html


def attributes_of_link(html, data):
    """Return those of the first link as a browser reads it; in Outlook's comments, as Outlook does."""
    shown = re.sub("<!.*?>", "", rendered(html, data))
    return LexborHTMLParser(shown).css_first("a").attributes


class TestMjml:
    def test_keeps_liquid_tags_in_tables_attributes_and_between_sections(self):
        source = (
            "<mjml><mj-head><mj-title>{{ t }}</mj-title><mj-style>.a { color: {{ c }} }</mj-style></mj-head><mj-body>"
            "{% for s in rows %}<mj-section><mj-column><mj-table>{% for i in rows %}<tr><td>{{ i }}</td></tr>"
            '{% endfor %}</mj-table><mj-button href="{{ u | append: "/x" }}">“Go” &amp; see</mj-button>'
            "</mj-column></mj-section>{% endfor %}</mj-body></mjml>"
        )
        html = compile_mjml(source)
        for tag in ("{{ t }}", "{{ c }}", '"{{ u | append: "/x" }}"', "“Go” &amp; see"):
            assert tag in html
        filled = rendered(html, {"rows": ["a", "b"], "u": "https://x.example"})
        assert filled.count("<tr><td>a</td></tr><tr><td>b</td></tr>") == 2

    def test_writes_quotes_and_letters_of_attributes_as_they_were(self):
        html = compile_mjml(
            mjml("<mj-image src='/a.png' alt='Grüße “\u00a0” \"x\" \\' width='50px' />")
        )
        assert 'alt="Grüße “\u00a0” &quot;x&quot; \\"' in html

    @pytest.mark.parametrize(
        ("inside", "words", "line"),
        [
            ("\n<mj-txt>a</mj-txt>", "no element <mj-txt>", 2),
            ("\n\n<mj-section></mj-section>", "may not stand in <mj-column>", 3),
            ("\n<mj-text>a", "opened here and not closed", 2),
            ("{% if a %}\n{% endif %}\n<mj-text><b>a</mj-text>", "<b> is opened", 3),
            ("<mj-text>a</b></mj-text>", "closes nothing", 1),
            ("<mj-include path='/etc/passwd' />", "can't be included", 1),
        ],
    )
    def test_names_the_line_of_a_mistake(self, inside, words, line):
        (mistake, *_) = find_mistakes(mjml(inside))
        assert (words in mistake.sentence, mistake.line) == (True, line)
        with pytest.raises(WrongSource):
            compile_mjml(mjml(inside))

    def test_refuses_a_tag_that_would_get_lost(self):
        with pytest.raises(WrongSource, match="drops it"):
            compile_mjml(mjml('<mj-text nothing="{{ a }}">x</mj-text>'))

    def test_names_the_line_of_a_tag_that_would_get_lost(self):
        inside = "<mj-style>p { color: {{\n a }}; }</mj-style>\n{% if b %}{% endif %}"
        with pytest.raises(WrongSource) as error:
            compile_mjml(f"<mjml>\n<mj-head>\n{inside}\n</mj-head>\n<mj-body></mj-body>\n</mjml>")
        assert [mistake.line for mistake in error.value.mistakes] == [5, 5]

    def test_takes_the_line_ends_of_a_form(self):
        source = STARTERS["mjml"].html
        assert compile_mjml(source.replace("\n", "\r\n")) == compile_mjml(source)

    def test_closes_what_html_never_closes(self):
        assert "<br" in compile_mjml(mjml("<mj-text>a<br>b <img src='x' alt=''></mj-text>"))


class TestInlining:
    STYLED = (
        "<style>p { color: red } @media (x) { p { color: blue } }</style>{a}<p class=x>Hi</p>{b}"
    )

    def test_changes_nothing_but_styles(self):
        html = "<!doctype html>\n<!--[if mso]><p>x</p><![endif]--><table>{% for a in b %}<tr><td>{{ a }}</table>"
        source = f"<style>td {{ color: red }}</style>{html}"
        assert inline_styles(source) == source.replace("<td>", '<td style="color: red;">')

    def test_lets_media_queries_win(self):
        html = inline_styles(self.STYLED.replace("{a}", "").replace("{b}", ""))
        assert "p { color: blue !important; }" in html
        assert '<p style="color: red;" class=x>' in html

    def test_adds_to_a_style_that_is_there(self):
        html = inline_styles('<style>p{color:red}</style><p style="margin: {{ m }}">x</p>')
        assert "color:red" in html.replace(" ", "").split("</style>")[1]
        assert "{{ m }}" in html

    def test_leaves_mail_without_styles_alone(self):
        assert inline_styles("<p>{{ a }}") == "<p>{{ a }}"


class TestHardening:
    SOURCE = (
        '<a href="{{ url }}">{{ n }}</a><a href="https://x.example/{{ n }}?q={{ n }}" '
        'style="color: {{ c }}">x</a><style>.a { color: {{ c }} }</style>'
    )

    def test_keeps_data_from_breaking_an_address_or_a_style(self):
        data = {"url": " jaVascript:alert(1)", "n": 'a&b=1#"<', "c": "red;} * {display:none"}
        html = rendered(harden(self.SOURCE), data)
        assert 'href="#"' in html
        assert "https://x.example/a%26b%3D1%23%22%3C?q=a%26b%3D1%23%22%3C" in html
        assert "color: red * displaynone" in html
        assert ";" not in html.split('style="color')[1].split('"')[0]

    def test_lets_sound_values_through(self):
        data = {"url": "https://x.example/?a=1&b=2", "n": "Ada Müller", "c": "#ff0000"}
        html = rendered(harden(self.SOURCE), data)
        assert 'href="https://x.example/?a=1&amp;b=2"' in html
        assert "q=Ada%20M%C3%BCller" in html
        assert "color: #ff0000" in html

    def test_leaves_what_the_author_encoded(self):
        source = '<a href="https://x.example/?q={{ n | url_encode }}">{{ unsubscribe_url }}</a>'
        assert harden(source) == source

    @pytest.mark.parametrize(
        "source",
        [
            '<a href="{{ u }}">x</a>',
            '<a href="{% echo u %}">x</a>',
            '<a href="{%- echo u -%}">x</a>',
            '<a href="{{ a }}{{ b }}">x</a>',
            '<a href="{{ a }}:alert(1)">x</a>',
            '<a href="{{ c }}{{ d }}:alert(1)">x</a>',
            '<a href="{{ t }}">x</a>',
            '<!--[if mso]><v:rect href="{{ u }}"></v:rect><![endif]-->',
            '<!--[if !mso]><!--><a href="{{ u }}">x</a><!--<![endif]-->',
            """<a href="{{ u | default: 'ask if unsure' }}">x</a>""",
            '<a href="{% if u %}{{ u }}{% else %}{{ t }}{% endif %}">x</a>',
        ],
    )
    def test_keeps_scripts_out_however_a_value_is_written(self, source):
        data = {
            "u": "javascript:alert(1)",
            "t": "java\tscr\nipt:alert(1)",
            "a": "javascript",
            "b": ":alert(1)",
            "c": "java",
            "d": "script",
        }
        assert "javascript:" not in rendered(harden(source), data).replace("\t", "")

    @pytest.mark.parametrize(
        "source",
        [
            '<a href="https://x.example/?q={% echo n %}">x</a>',
            '<!--[if mso]><v:roundrect href="https://x.example/?q={{ n }}"><![endif]-->',
            """<a href="https://x.example/?q={{ n | default: 'ask if unsure' }}">x</a>""",
        ],
    )
    def test_keeps_parameters_out_however_a_value_is_written(self, source):
        assert "?q=a%26b%3D1" in rendered(harden(source), {"n": "a&b=1"})

    @pytest.mark.parametrize(
        "source",
        [
            "<a href={{ u }} class=b>",
            "<a class={{ u }} href=https://x.example/>",
            "<a href=https://x.example/{{ u }} class=b>",
            "<a href={{- u -}} class=b>",
            "<a {% unless no %}title={{ u }}{% endunless %} class=b>",
            "<a title='=' class={{ u }}>",
            "<a style=color:{{ u }}>",
            "<!--[if mso]><a href={{ u }}><![endif]-->",
        ],
    )
    @pytest.mark.parametrize("value", ["x onclick=alert(1) href=https://evil.example/", "", "a/>b"])
    def test_puts_quotes_around_values_without(self, source, value):
        """A value with a space in it would become further attributes, an empty one would take the next one in."""
        plain, hostile = (attributes_of_link(harden(source), {"u": u}) for u in ("plain", value))
        assert list(hostile) == list(plain)
        assert source.count("href=https://x.example/") == hostile.get("href", "").count(
            "x.example/"
        )

    @pytest.mark.parametrize(
        "written",
        [
            "<a {{ u }}>",
            "<a {{ u }}=x>",
            "<a title={% if u %}{{ u }}{% endif %}>",
            "<a title=x{% if u %}{{ u }}{% endif %}>",
            "<a title={{ u }}{% if u %}-x{% endif %}>",
            "<h{{ u }}>x</h{{ u }}>",
            "<{{ u }}>",
            "<{% echo u %}>",
            "<a title={% echo u %}>",
        ],
    )
    def test_refuses_values_that_quotes_can_not_keep(self, written):
        look = look_over(
            subject="x", html=f"<p>{{{{ u }}}}</p>\n{written}", text="", sample={"u": 1}
        )
        (error,) = look.errors
        assert "a value" in error.sentence
        assert error.line == 2

    @pytest.mark.parametrize(
        "source",
        [
            "<td {% if u %}align=right{% endif %} width=600>",
            "<a title=\"{{ u }}\" data-x='{{ u }}'>{{ u }}=x</a>",
            "<p title=a>1 < {{ u }} = 2</p>",
            "<!-- <a href={{ u }}> -->",
        ],
    )
    def test_leaves_alone_what_has_no_value_or_has_quotes(self, source):
        assert harden(source) == source

    @pytest.mark.parametrize(
        ("source", "address"),
        [
            ("{{ base }}{{ name }}", "https://x.example/?u=%40evil.example%26admin%3D1"),
            ("{{ base }} {{ name }}", "https://x.example/?u= %40evil.example%26admin%3D1"),
            ("{{ base }}{% if name %}{{ name }}{% endif %}", "https://x.example/?u=%40evil.example%26admin%3D1"),
            ("{{ base }}{{ whole | safe_url }}", "https://x.example/?u=https://y.example/?a=1&b=2"),
            ("{% if none %}{{ base }}{% else %}{{ whole }}{% endif %}", "https://y.example/?a=1&b=2"),
            ("{% if none %}{{ base }}{% endif %}{{ whole }}", "https://y.example/?a=1&b=2"),
        ],
    )  # fmt: skip
    def test_takes_a_value_behind_another_for_a_part_of_the_address(self, source, address):
        data = {
            "base": "https://x.example/?u=",
            "name": "@evil.example&admin=1",
            "whole": "https://y.example/?a=1&b=2",
        }
        assert attributes_of_link(harden(f'<a href="{source}">x</a>'), data)["href"] == address

    @pytest.mark.parametrize(
        ("source", "address"),
        [
            ("https://{{ u }}.x.example/{{ u }}", "https://evil.example%2F.x.example/evil.example/"),
            ("https://a-{{ u }}.x.example", "https://a-evil.example%2F.x.example"),
            ("//{{ u }}{{ n }}.x.example/", "//evil.example%2Fn.x.example/"),
            ("https://{{ n }}.x.example/{{ n }}.html?q={{ u }}.", "https://n.x.example/n.html?q=evil.example/."),
            ("https://{{ h }}/a", "https://x.example/a"),
            ("https://x.example{{ u }}", "https://x.example/evil.example/"),
            ("https://x.example{{ d }}/a", "https://x.example/.evil.example/a"),
            ("{{ s }}://x.example{{ d }}", "https://x.example/.evil.example"),
            ("{{ s }}://{{ u }}.x.example", "https://evil.example%2F.x.example"),
            ("https://x.example{% if none %}/a{% else %}{{ d }}{% endif %}", "https://x.example/.evil.example"),
            ("https://x.example{% if none %}/a{% endif %}{{ d }}", "https://x.example/.evil.example"),
            ("{% if none %}https://y.example{% else %}https://x.example{% endif %}{{ d }}", "https://x.example/.evil.example"),
            ("https://x.example{% if n %}/{{ n }}{% endif %}{{ p }}", "https://x.example/n/p"),
            ("https://x.example{{ p }}{{ n }}{{ none }}", "https://x.example/pn"),
            ("https://www.{{ h }}/a", "https://www.x.example/a"),
            ("https://x.example:{{ port }}{{ p }}", "https://x.example:80/p"),
        ],
    )  # fmt: skip
    def test_lets_no_value_end_the_name_of_a_host(self, source, address):
        data = {"u": "evil.example/", "n": "n", "h": "x.example", "d": ".evil.example"}
        data |= {"s": "https", "p": "/p", "port": "80"}
        assert attributes_of_link(harden(f'<a href="{source}">x</a>'), data)["href"] == address

    def test_guards_the_addresses_of_outlooks_shapes(self):
        source = '<v:rect o:href="{{ u }}"></v:rect>'
        assert "javascript:" not in rendered(harden(source), {"u": "javascript:alert(1)"})

    def test_lets_an_address_be_put_together(self):
        source = (
            '<a href="{{ s }}://{{ h }}:8080/{{ p }}">x</a><a href="{{ o }}:8080/{{ p }}">x</a>'
        )
        data = {"s": "https", "h": "x.example", "o": "https://x.example", "p": "a b"}
        assert rendered(harden(source), data).count('"https://x.example:8080/a%20b"') == 2

    @pytest.mark.parametrize(
        "tag", ["{% liquid echo u %}", "{%- liquid\n echo u\n-%}", "{% cycle 'a', u %}"]
    )
    def test_refuses_what_takes_no_guard(self, tag):
        html = f"<p>Hi</p>\n<a href='{{{{ s }}}}'>x</a>\n<a href='{tag}'>x</a>"
        look = look_over(subject="x", html=html, text="", sample={"u": 1, "s": 1})
        (error,) = look.errors
        assert "can't be guarded" in error.sentence
        assert error.line == 3

    def test_lets_written_words_take_turns(self):
        source = (
            """<p style="{% liquid assign a = 1 %}color: {% cycle 'red', 'dark blue' %}">x</p>"""
        )
        assert harden(source) == source


class TestChild:
    def test_survives_what_kills_it(self):
        deep = "<mjml><mj-body>" + "<mj-wrapper>" * 30_000
        with pytest.raises(CompileFault):
            ask_child("mjml", deep + "</mj-wrapper>" * 30_000)

    def test_is_kept_for_the_next(self):
        pids = []
        for number in range(2):
            ask_child("inline", f"<style>p {{ margin: {number}px }}</style><p>x</p>")
            pids.append(child._idle[-1].process.pid)
        assert pids[0] == pids[1]

    def test_that_died_while_it_waited_is_nobodys_fault(self):
        ask_child("inline", "<style>p { color: red }</style><p>one</p>")
        for idle in child._idle:
            idle.process.kill()
            idle.process.wait()
        assert "two" in ask_child("inline", "<style>p { color: red }</style><p>two</p>")


@pytest.fixture
def footer(db, editor):
    block = MailTemplate.objects.create(
        name="Footer", kind="block", draft_html="<p>Acme Ltd\n{{ city }}</p>"
    )
    return publish(block, editor)


@pytest.fixture
def frame(db, editor, footer):
    layout = MailTemplate.objects.create(
        name="Frame",
        kind="layout",
        draft_html="<html lang='en'><body>\n{{ content }}\n{% render 'Footer' %}</body></html>",
    )
    return publish(layout, editor)


class TestLayoutsAndBlocks:
    def test_stand_around_and_in_a_mail(self, frame, footer):
        composed = compose("<h1>Hi</h1>", layout=frame.template)
        assert "<body>\n<h1>Hi</h1>\n<p>Acme Ltd" in composed.html
        assert composed.parts == sorted(
            [[frame.template_id, frame.number], [footer.template_id, footer.number]]
        )

    def test_leave_lines_where_the_author_wrote_them(self, frame):
        look = look_over(
            subject="x",
            html="{% render 'Footer' %}\n<p>{{ nope }}</p>\n<img src='/x.png'>",
            text="",
            sample={"city": "Lisbon"},
            layout=frame.template,
        )
        lines = {problem.rule: problem.line for problem in look.problems}
        assert (lines["liquid.unknown_name"], lines["mail.alt"]) == (2, 3)

    @pytest.mark.parametrize("html", ["{% render 'Nothing' %}", "{% render 'Round' %}"])
    def test_end_with_a_sentence(self, db, editor, html):
        block = MailTemplate.objects.create(name="Round", kind="block", draft_html="x")
        version = publish(block, editor)
        version.source = "{% render 'Round' %}"
        with pytest.raises(Uncomposable):
            compose(html, replaced=version)

    def test_are_put_in_a_thousand_times_at_most_and_read_once(
        self, footer, django_assert_max_num_queries
    ):
        with (
            django_assert_max_num_queries(4),
            pytest.raises(Uncomposable, match="more than 1,000 times"),
        ):
            compose("{% render 'Footer' %}" * 1001)

    def test_stop_growing_where_the_mail_is_too_long(self, footer, editor):
        long = MailTemplate.objects.create(name="Long", kind="block", draft_html="x" * 200_000)
        publish(long, editor)
        with pytest.raises(Uncomposable, match="too long"):
            compose("{% render 'Long' %}" * 900)


class TestStarters:
    @pytest.mark.parametrize("name", ["letter", "receipt", "mjml"])
    def test_are_found_nothing_wrong_with(self, name):
        starter = STARTERS[name]
        look = look_over(
            subject=starter.subject,
            html=starter.html,
            text="",
            sample=starter.sample,
            syntax=starter.syntax,
        )
        assert [problem.sentence for problem in look.problems] == []
