"""What the gates find in a mail, at which line, and what they leave alone."""

import pytest

from mailops.content.checking import look_over
from mailops.content.gates.colors import color_of, contrast

FRAME = (
    '<html lang="en"><body>\n{}\n<a href="{{{{ unsubscribe_url }}}}">Unsubscribe</a></body></html>'
)


def rules(inside, *, frame=FRAME, subject="News", text="", **more):
    look = look_over(
        subject=subject, html=frame.format(inside), text=text, sample=more.pop("sample", {}), **more
    )
    return {problem.rule: problem for problem in look.problems}


class TestGates:
    @pytest.mark.parametrize(
        ("inside", "rule", "severity"),
        [
            ("<img src='/a.png' width='10'>", "mail.alt", "warning"),
            ("<img src='/a.png' alt='x'>", "mail.image_size", "warning"),
            ("<img src='data:image/png;base64,AA' alt='' width='1'>", "mail.data_image", "warning"),
            ("<form action='/x'></form>", "mail.form", "warning"),
            ("<p>a <b>b</p>", "mail.unclosed", "warning"),
            ("<b><i>b</b></i>", "mail.unclosed", "warning"),
            ("<table role='presentation'><tr><td>x", "mail.unclosed", "warning"),
            ("<p>Dear *|FNAME|*</p>", "liquid.foreign", "warning"),
            ("<p>Dear {first_name}</p>", "liquid.foreign", "warning"),
            ("<script>x</script>", "mail.script", "error"),
            ("<p onclick='x()'>x</p>", "mail.script", "error"),
            ("<style>@font-face { src: url(x) }</style>", "mail.font", "warning"),
            (f"<p>{'x' * 1000}</p>", "mail.long_line", "warning"),
            ("<a href='http://shop.example/'>x</a>", "links.http", "warning"),
            ("<a href='shop.example'>x</a>", "links.bad", "warning"),
            ("<a href='mailto:nobody'>x</a>", "links.bad", "warning"),
            ("<a href='java\tscript:x()'>x</a>", "links.bad", "error"),
            ("<a href='\x01 JavaScript:x()'>x</a>", "links.bad", "error"),
            ("<a href='https://192.0.2.1/'>x</a>", "links.host", "warning"),
            ("<a href='https://evil.example/'>bank.example</a>", "links.lookalike", "warning"),
            ("<a href='https://evil.co.uk/'>bank.co.uk</a>", "links.lookalike", "warning"),
            ("<a href='https://p\u0430ypal.example/'>x</a>", "links.lookalike", "error"),
            (
                "<a href='https://\u0430\u0440\u0440\u04cf\u0435.example/'>x</a>",
                "links.lookalike",
                "warning",
            ),
            ("<a href='https://xn--80ak6aa92e.example/'>x</a>", "links.lookalike", "warning"),
            (
                "<a href='https://shop.example/'>click here</a>",
                "accessibility.link_words",
                "warning",
            ),
            ("<h1>a</h1><h3>b</h3>", "accessibility.headings", "warning"),
            ("<table><tr><td>x</td></tr></table>", "accessibility.table", "warning"),
            ("<p style='color: #999999'>Pale words</p>", "accessibility.contrast", "warning"),
            ("<div style='display: grid'>x</div>", "clients.css", "warning"),
            ("<div style='border-radius: 3px'>x</div>", "clients.css", "info"),
            ("<svg></svg>", "clients.tag", "warning"),
            ("<p style='color: #11223380'>x</p>", "clients.css", "warning"),
            ("<p style='margin: 2rem'>x</p>", "clients.css", "warning"),
            (
                "<style>@container (width > 9px) { p { margin: 0 } }</style>",
                "clients.css",
                "warning",
            ),
            ("<style>a:hover { margin: 0 }</style>", "clients.css", "info"),
            ("<img src='https://a.example/a.heic' alt='' width='1'>", "clients.css", "warning"),
        ],
    )
    def test_find_it_in_its_line(self, inside, rule, severity):
        problem = rules(inside)[rule]
        assert (problem.severity, problem.line) == (severity, 2)
        assert problem.why
        assert problem.fix

    @pytest.mark.parametrize(
        "inside",
        [
            "<a href='https://shop.example/a?b=1#c'>www.shop.example</a>",
            "<a href='https://\u0430\u0440\u0440\u04cf\u0435.\u0440\u0444/'>x</a><a href='https://123.example/'>x</a>",
            "<a href='mailto:ada@example.com?subject=x'>write</a><a href='tel:+351210000000'>call</a>",
            "<img src='https://shop.example/a.png' alt='' width='1' height='1'>",
            "<table role='presentation'><tr><td>x</td></tr></table>",
            "<p style='color: #333333; background: white'>Clear words</p>",
            "<!--[if mso]><table style='display: grid'><![endif]-->",
            "<!--[if mso]><table><tr><td><![endif]--><div>x</div><!--[if mso]></td></tr></table><![endif]-->",
            "{% if email %}<div title='a'>{% else %}<div>{% endif %}a</div><p>b<p>c<ul><li>d</ul>",
            "<p>{a: 1} {name} 5*|x| 100%% [[1</p>",
            "<p style='color: #112233' title='rem: 3 rem; @layer, a:hover'>outline: 3; gap: 4; rem: min(3) max-height: 5</p>",
        ],
    )
    def test_leave_sound_things_alone(self, inside):
        assert set(rules(inside)) <= {"mail.preheader", "mail.images_only"}

    @pytest.mark.parametrize(
        ("given", "part", "line"),
        [
            ({"inside": "<p>Dear *|FNAME|*</p>", "text": "Hello."}, "html", 2),
            ({"inside": "<p>Hello.</p>", "text": "Dear *|FNAME|*"}, "text", None),
            ({"inside": "<p>Hello.</p>", "subject": "Dear *|FNAME|*"}, "subject", None),
        ],
    )
    def test_find_what_other_systems_fill_in_where_it_stands(self, given, part, line):
        problem = rules(**given)["liquid.foreign"]
        assert (problem.part, problem.line) == (part, line)

    @pytest.mark.parametrize(
        ("frame", "is_told"),
        [
            ('<html lang="he"><body>{}', True),
            ('<html lang="he" dir="rtl"><body>{}', False),
            ('<html lang="he"><body style="direction: rtl">{}', False),
        ],
    )
    def test_tell_of_words_from_right_to_left_that_do_not_say_so(self, frame, is_told):
        words = "\u05e9\u05dc\u05d5\u05dd \u05dc\u05db\u05dd Ada"
        assert ("accessibility.direction" in rules(words, frame=frame)) == is_told

    @pytest.mark.parametrize(
        "many",
        [
            "<b>" * 10_000 + "<i></b>" * 10_000,
            "<b>{% for i in (1..9000) %}<style/>{% endfor %}",
            "{% for i in (1..9000) %}<b><style></STYLE>{% endfor %}",
        ],
        ids=["closed in turn", "styles that close themselves", "styles in capitals"],
    )
    def test_tell_of_elements_left_open_in_time_of_their_number(self, many):
        assert rules(many)["mail.unclosed"].line == 2

    @pytest.mark.parametrize(
        "inside",
        [
            '<script type="application/ld+json">{"@type": "Order"}</script>',
            "<meta charset='UTF-8'><p>Say charset=iso-8859-1 there</p>",
        ],
    )
    def test_refuse_nothing_that_runs_nothing_and_says_nothing_else(self, inside):
        assert not {"mail.script", "mail.charset"} & set(rules(inside))

    @pytest.mark.parametrize(
        "link",
        [
            "<p>{{ unsubscribe_url }}</p>",
            "<!-- {{ unsubscribe_url }} -->",
            "{% if nobody %}<a href='{{ unsubscribe_url }}'>Leave</a>{% endif %}",
        ],
    )
    def test_find_that_no_link_leads_out(self, link):
        frame = '<html lang="en"><body>\n{}</body></html>'
        sample = {"sample": {"nobody": False}}
        assert rules(link, frame=frame, **sample)["mail.unsubscribe"].line == 2
        leading = "<a href='https://x.example/?to={{ unsubscribe_url | url_encode }}'>Leave</a>"
        assert "mail.unsubscribe" not in rules(leading, frame=frame)

    @pytest.mark.parametrize(
        ("inside", "shown"),
        [
            ("<style>p {}</style><div style='display:none'>First <b>line</b></div>Hello", "First line"),
            ("<p>Hello</p><div style='display:none'>Only for phones</div>", "Hello Unsubscribe"),
            ("<p style='display:none'> \u200c </p>Hello", "Hello Unsubscribe"),
        ],
    )  # fmt: skip
    def test_take_for_a_preheader_what_the_mail_begins_with(self, inside, shown):
        look = look_over(subject="x", html=FRAME.format(inside), text="", sample={})
        assert look.preheader.startswith(shown)
        assert ("mail.preheader" in {each.rule for each in look.problems}) == (shown[0] == "H")

    def test_find_all_faults_of_values_at_once(self):
        subject, html = "{{ a | one }} and {{ b | two }}", "x\n{{ c || d }}\n{{ e | three }}"
        look = look_over(subject=subject, html=html, text="x", sample={})
        told = " ".join(f"{each.part} {each.line} {each.sentence}" for each in look.errors)
        for words in ("subject 1 There is no filter “one”", "subject 1 There is no filter “two”"):
            assert words in told
        assert "html 3 There is no filter “three”" in told
        assert "html 2 " in told

    def test_find_what_a_mail_lacks(self):
        found = rules("<p></p>", frame="<html>{}</html>", subject="x" * 90)
        assert {"mail.subject_cut", "mail.text", "mail.unsubscribe", "accessibility.lang"} <= set(
            found
        )

    def test_see_dark_mode_as_the_mail_asks_for_it(self):
        asks = (
            (
                "<style>@media (prefers-color-scheme: dark) {{ .a {{ color: #222222 }} }}</style>"
                "<p class='a' style='color: #000000'>Words</p>"
            )
            .replace("{{", "{")
            .replace("}}", "}")
        )
        assert "dark.contrast" in rules(asks)
        assert "dark.contrast" not in rules(asks.replace("#222222", "#dddddd"))

    def test_see_a_logo_that_vanishes(self):
        logo = "<meta name='color-scheme' content='light dark'><img src='/logo.png' alt='Acme' width='9'>"
        assert "dark.logo" in rules(logo)


class TestContrast:
    @pytest.mark.parametrize(
        ("one", "other", "ratio"),
        [("#000", "#fff", 21), ("#777777", "white", 4.48), ("red", "red", 1)],
    )
    def test_is_counted_as_wcag_does(self, one, other, ratio):
        assert contrast(color_of(one), color_of(other)) == pytest.approx(ratio, abs=0.01)

    @pytest.mark.parametrize("color", ["rgb({}, 0, 0)", "#fff; font-size: {}px"])
    def test_of_a_number_of_thousands_of_digits_breaks_nothing(self, color):
        style = f"background: white; color: {color.format('9' * 5000)}"
        assert "mail.images_only" not in rules(f"<p style='{style}'>Words</p>")
