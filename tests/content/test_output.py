"""Whatever way a template goes, it writes what the library writes, within bounds."""

from functools import partial
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError, OutputStreamLimitError

from mailops.content import limits
from mailops.content.hardening import GUARDS
from mailops.content.output import Buffer
from mailops.content.quick import MAX_NUMBER, Unusual
from tests.content.some_templates import some_data, some_template

PIECES = [
    *["text ", "é\n", "\r\n", "<b>", "{{ a }}", "{{a.b}}", "{{ a.b.c }}", "{{ a['b'] }}", "{{ a[b] }}", "{{ a[b].c }}"],
    *["{{ b }}", "{{ l }}", "{{ l.size }}", "{{ l.first }}", "{{ l[1].b }}", "{{ a.size }}", "{{ a.first }}", "{{ n }}"],
    *["{{ t }}", "{{ z }}", "{{ z.y.x }}", "{{ b.size }}", "{{ b.first }}", "{{ b | upcase }}", "{{ a.b | escape }}"],
    *["{{ (1..3) }}", "{{ 'x<' }}", "{{ f }}", "{{ nil }}", "{{ empty }}", "{{ a if t else b }}", "{{ h | safe }}"],
    *["{% assign b = 'new' %}", "{% assign a = l %}", "{% increment b %}", "{% capture b %}<{{ b }}>{% endcapture %}"],
    *["{% for b in l %}{{ b }}{{ forloop.index }}{{ forloop.last }}{{ b.b }}{{ a.b }}{% endfor %}", "{% echo b %}"],
    *["{% for p in a %}{{ p }}{{ p[0] }}{{ p.first }}{{ p.last }}{% endfor %}", "{% if z %}{{ z }}{% endif %}"],
    *["{% if t %}{% assign b = 'set' %}{% endif %}", "{% if a.b %}{{ a.b }}{% endif %}", "{% cycle 'x', b %}"],
    *["{% tablerow r in l %}{{ r.b }}{{ tablerowloop.col }}{% endtablerow %}", "{{- b -}}", "{% raw %}{{ b }}{% endraw %}"],
    *["{{ b | in_url }}", "{{ a.b | safe_url }}", "{{ l[1].b | in_style }}", "{{ b | upcase | in_url }}", "{{ z | in_url }}", "{{ b | in_host }}"],
    *["{% if t %}{% capture b %}a{{ b }}c{% endcapture %}{% endif %}", "{% case n %}{% when 0 %}0{{ b }}{% else %}{{ b }}1{% endcase %}"],
    *["{% for b in l %} {% if b %}{% break %}{% endif %} {% else %}{{ a }}{% endfor %}", "{{ b | upcase: 1 }}", "{% if a contains 'b' %} {% endif %}"],
    *["{{ partial }}", "{% liquid echo b\necho a.b %}", "{% comment %}{{ b }}{% endcomment %}"],
    *["{% for b in l %}<{{ b }}{{ b.c }}{{ b | upcase }}{{ n }}>{% endfor %}", "{% for x in l %}{% if x == b %}{{ x }}{% elsif x %}{{ x.b }}{% else %}-{% endif %}{% endfor %}"],
    *["{% unless b %}{{ n }}{% elsif t %}t{% else %}{{ b }}{% endunless %}", "{% if partial or now %}x{% endif %}", "{% if z == nil %}{{ l.size }}{% endif %}"],
    *["{% for x in l %}{% for y in x %}{{ y }}{{ x }}{{ forloop.parentloop.index }}{% endfor %}{% endfor %}", "{% for x in l limit: 1 %}{{ x }}{% endfor %}"],
    *["{% for x in l offset: continue %}{{ x }}{% endfor %}", "{% for x in a %}{{ x }}{% else %}none{% endfor %}", "{% for x in (1..n) %}{{ x }}{% endfor %}"],
    *["{% for forloop in l %}{{ forloop }}{% endfor %}", "{% for x in l %}{{ [f].b }}{{ x }}{% endfor %}", "{% for x in l %} {% assign f = x %}{% endfor %}{{ f }}"],
    *["{% for x in l %}{% unless x %}{{ b }}{% endunless %}{{ x | in_url }}{{ x | default: 'none' }}{% endfor %}", "{{ n | in_url }}{{ t | in_style }}{{ l | in_host }}"],
    *["{% for x in a.b %}{{ x.c.b }}{% endfor %}", "{{ now.b }}", "{% decrement n %}{{ n }}", "{% ifchanged %}{{ b }}{% endifchanged %}"],
]  # fmt: skip
LIBRARIES = {limits.HTML: Environment(autoescape=True), limits.PLAIN: Environment()}
for each in LIBRARIES.values():
    each.filters |= GUARDS
SCALARS = st.sampled_from(["", "b", "<A & 'B'>", "é", "c", 0, 1.5, True, False, None, "x\r\ny"])
VALUES = st.recursive(
    SCALARS,
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(st.sampled_from(["b", "c", "size", "first", "<", ""]), values, max_size=3)
    ),
    max_leaves=6,
)
DATA = st.dictionaries(st.sampled_from(["a", "b", "l", "n", "t", "f", "h"]), VALUES, max_size=7)


def rendered(environment, source, data):
    try:
        text = environment.from_string(source).render(data)
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except LiquidError as error:
        return str(error)


def outcome(render, data):
    try:
        return render(data).replace("\r\n", "\n").replace("\r", "\n")
    except Exception as error:  # noqa: BLE001 - any that the library lets through
        return error


class TestTemplate:
    @given(st.randoms(use_true_random=False))
    @settings(max_examples=150)
    def test_leaves_nothing_for_the_next_recipient(self, random):
        """By the quick way, the library's, and the library without our bounds, again and again by one template."""
        source, environment = some_template(random), random.choice([limits.HTML, limits.PLAIN])
        try:
            template = environment.from_string(source)
        except LiquidError:
            return
        library = LIBRARIES[environment].from_string(source)
        several = [some_data(random) for _ in range(3)]
        for data in [*several, several[0]]:
            ours = outcome(template.render, data)
            bounded = outcome(partial(BoundTemplate.render, template), data)
            free = outcome(library.render, data)
            assert str(ours) == str(bounded)
            if isinstance(ours, str) and isinstance(free, str):
                assert ours == free

    @pytest.mark.parametrize("autoescape", [True, False])
    @given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), DATA)
    @settings(max_examples=300)
    def test_writes_what_the_library_writes(self, autoescape, source, data):
        ours = limits.HTML if autoescape else limits.PLAIN
        assert rendered(ours, source, data) == rendered(LIBRARIES[ours], source, data)

    def test_an_output_that_grows_too_large_is_placed_where_it_did(self):
        source = "a{{ b }}\n{% if b %}\n{{ b }} and\n{{ b }}{% endif %}"
        with pytest.raises(OutputStreamLimitError) as caught:
            limits.PLAIN.from_string(source).render({"b": "x" * (limits.MAX_OUTPUT // 3)})
        assert caught.value.token.start_index == source.rindex("{{ b }}")

    @pytest.mark.parametrize(
        "source", ["{{ a }}", "{% if b %}{{ a }}{% endif %}", "{{ '\ud83d' | size }}"]
    )
    def test_half_of_a_letter_is_refused(self, source):
        with pytest.raises(UnicodeEncodeError):
            limits.HTML.from_string(source).render({"a": "\ud83d", "b": 1})

    def test_a_list_is_not_written_for_ever(self):
        template = limits.HTML.from_string("{% for i in (1..600) %}{% echo l %}{% endfor %}")
        with pytest.raises(limits.OutOfBounds):
            BoundTemplate.render(template, {"l": [""] * 10_000})

    @pytest.mark.parametrize(
        "compares",
        [
            "{% if a == b %}x{% endif %}",
            "{% if a != b %}{% else %}x{% endif %}",
            "{% if a <= b %}x{% endif %}",
            "{% unless a >= b %}{% else %}x{% endunless %}",
            "{% if l contains b %}x{% endif %}",
            "{% if 'x' contains b %}{% else %}x{% endif %}",
            "{% case a %}{% when 1, b %}x{% endcase %}",
            "{% if ls == lt %}x{% endif %}",
        ],
    )
    @pytest.mark.parametrize("loop", ["{% for i in (1..200) %}", "{% for i in n %}"])
    @pytest.mark.parametrize("times", [1, 20])
    def test_a_comparison_of_deep_values_costs_what_they_hold(self, compares, loop, times):
        """About half a megabyte, which one of two hundred comparisons may cost, and twenty times as many may not."""

        def deep():
            return {"c": [{"d": ["e", {"f": [str(n)]}]} for n in range(600 * times)]}

        data = {"a": deep(), "b": deep(), "l": [deep()], "n": [0] * 200}
        data |= {name: [[deep()]] for name in ("ls", "lt")}
        template = limits.PLAIN.from_string(f"{loop}{compares}{{% endfor %}}")
        quick, bounded = (
            outcome(render, data)
            for render in (template.render, partial(BoundTemplate.render, template))
        )
        assert str(quick) == str(bounded)
        assert bounded == "x" * 200 if times == 1 else isinstance(bounded, limits.OutOfBounds)

    def test_a_long_text_held_against_many_costs_what_it_reads(self):
        source = "{% for i in (1..10000) %}{% if l contains a %}{% endif %}{% endfor %}"
        data = {"a": "x" * 40_000 + "y", "l": ["x" * 40_000 + "z"] * 20}
        with pytest.raises(limits.OutOfBounds):
            limits.PLAIN.from_string(source).render(data)

    def test_short_texts_in_a_list_cost_nothing_more(self):
        source = "{% for i in (1..1000) %}{% if l contains a %}x{% endif %}{% endfor %}"
        data = {"a": "blue", "l": ["red", "blue"] * 100}
        assert limits.PLAIN.from_string(source).render(data) == "x" * 1000

    def test_a_loop_goes_on_when_a_filter_is_given_it(self):
        source = "{% for x in l %}{{ x }}{{ forloop | default: 1 }} {% endfor %}"
        rendered = limits.PLAIN.from_string(source).render({"l": ["a", "b"]})
        assert rendered == "aForLoop bForLoop "

    def test_a_mail_has_one_kind_of_line_end(self):
        assert limits.PLAIN.from_string("a\r\nb\r\n").render() == "a\nb\n"


class TestQuickWay:
    DATA: ClassVar = {
        "a": "<A & B>",
        "n": 3,
        "p": {"q": "r", "s": {}},
        "l": [{"b": "1"}, {"b": 2}, {}],
        "t": True,
    }

    @pytest.mark.parametrize(
        "source",
        [
            "{{ a }} {{ p.q }} {{ p.none.none }} {{ missing }} {{ n }} {{ t }} {{ p }}",
            '<a href="{{ a | in_url }}/{{ n | in_url }}{{ missing | in_url }}">',
            "{% if a %}A{{ a }}{% elsif n %}N{% else %}-{% endif %}{% unless p.none %}none{% endunless %}",
            "{% for x in l %}{{ x.b }},{% else %}nothing{% endfor %}{% for x in missing %}{% else %}nothing{% endfor %}",
            "{% for x in l %}{% if x.b == 2 %}two{% endif %}{{ x.b | plus: n }}{{ a | upcase }}{% endfor %}",
            "{{ a | default: 'there' }} {{ l.size }} {% case n %}{% when 3 %}three{% endcase %}",
            "{% assign a = 'new' %}{{ a }}{% capture n %}{{ a }}!{% endcapture %}{{ n }}",
            "{% for x in l %}{{ forloop.index }}{% endfor %}{% for x in l limit: 1 %}{{ x.b }}{% endfor %}",
        ],
    )
    def test_is_what_mail_is_made_of(self, source):
        template = limits.HTML.from_string(source)
        assert template.quick.render(self.DATA) == BoundTemplate.render(template, self.DATA) != ""

    @pytest.mark.parametrize(
        ("source", "data"),
        [
            ("{{ a }}" * 3, {"a": "x" * 100_000}),
            (
                "{% for x in a %}{{ x }}{% endfor %}",
                {"a": ["<" * 70_000]},
            ),  # four times as much, escaped
            ("x" * 200_000 + "{% if a %}" + "y" * 70_000 + "{% endif %}", {"a": 1}),
            ("{{ a | append: a }}" * 3, {"a": "x" * 50_000}),
            ("{{ a | in_url }}", {"a": "é" * 501}),
            ("{{ a | in_style }}", {"a": ";" * 501}),
            ("{{ a | in_url }}", {"a": 1.5}),
            ("{{ a }}", {"a": ["", ""]}),
            ("{% for x in a %}{{ x }}" + " " * 1_000 + "{% endfor %}", {"a": [1] * 500}),
            ("{% for x in a %}{{ x }}{% endfor %}", {"a": {"b": 1}}),
            ("{{ a.b }}", {"a": [1]}),
            ("{{ a }}" * 5_001, {"a": 1}),
        ],
    )
    def test_leaves_to_the_library_what_is_out_of_the_ordinary(self, source, data):
        template = limits.HTML.from_string(source)
        with pytest.raises(Unusual):
            template.quick.render(data)
        assert template.render(data) == BoundTemplate.render(template, data)

    def test_guards_no_number_that_the_library_refuses(self):
        template = limits.HTML.from_string("{{ a | in_url }}")
        assert template.render({"a": MAX_NUMBER}) == str(MAX_NUMBER)
        with pytest.raises(limits.OutOfBounds):
            template.render({"a": MAX_NUMBER + 1})

    def test_guards_no_more_than_the_library_would(self):
        source = "{% for x in l %}{{ a | in_style }}{% endfor %}"
        with pytest.raises(limits.OutOfBounds):
            limits.HTML.from_string(source).render({"a": ";" * 8_000, "l": [1] * 10_000})

    def test_knows_a_name_without_letters(self):
        source = "{% if [''] %}y{% endif %}{% for x in l %}{{ x }}{{ [''] }}{% endfor %}{% for [''] in l %}{{ [''] }}{% endfor %}"
        template = limits.PLAIN.from_string(source)
        assert template.quick.render({"": "a", "l": [1, 2]}) == "y1a2a12"


class TestBuffer:
    def test_counts_bytes_not_letters(self):
        buffer = Buffer(4)
        buffer.write("éé")
        with pytest.raises(OutputStreamLimitError):
            buffer.write("x")

    def test_is_as_long_within_a_capture_as_outside(self):
        source = "{{ a }}{% capture b %}{{ a }}{% endcapture %}"
        limits.PLAIN.from_string(source).render({"a": "x" * (limits.MAX_OUTPUT // 2)})
        with pytest.raises(OutputStreamLimitError):
            limits.PLAIN.from_string(source).render({"a": "x" * (limits.MAX_OUTPUT // 2 + 1)})
