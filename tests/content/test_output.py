"""The quick nodes write what the library's own write, within the same bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid import Environment
from liquid.exceptions import LiquidError, OutputStreamLimitError

from mailops.content import limits
from mailops.content.hardening import GUARDS
from mailops.content.output import Buffer

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
]  # fmt: skip
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


class TestNodes:
    @pytest.mark.parametrize("autoescape", [True, False])
    @given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), DATA)
    @settings(max_examples=200)
    def test_write_what_the_librarys_own_write(self, autoescape, source, data):
        ours = limits.HTML if autoescape else limits.PLAIN
        library = Environment(autoescape=autoescape)
        library.filters |= GUARDS
        assert rendered(ours, source, data) == rendered(library, source, data)

    def test_an_output_that_grows_too_large_is_placed_where_it_did(self):
        source = "a{{ b }}\n{% if b %}\n{{ b }} and\n{{ b }}{% endif %}"
        with pytest.raises(OutputStreamLimitError) as caught:
            limits.PLAIN.from_string(source).render({"b": "x" * (limits.MAX_OUTPUT // 3)})
        assert caught.value.token.start_index == source.rindex("{{ b }}")

    def test_a_mail_has_one_kind_of_line_end(self):
        assert limits.PLAIN.from_string("a\r\nb\r\n").render() == "a\nb\n"

    @pytest.mark.parametrize("name", GUARDS)
    @pytest.mark.parametrize(
        "value", ["", "a b", "é" * 1000, "x" * 30_000, "é" * 30_000, "x" * 100_001]
    )
    def test_a_guard_is_bound_and_charged_as_any_filter(self, name, value):
        def work(source):
            template = limits.HTML.from_string(source)
            context = limits.Context(template, globals={"a": value})
            try:
                template.render_with_context(context, context.get_buffer())
            except LiquidError as error:
                return type(error), str(error.message)
            return context.work

        assert work("{{ a | " + name + " }}") == work("{% echo a | " + name + " %}")


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
