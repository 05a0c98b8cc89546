"""What mends a fault that an author made: at its line, in words that say what to write."""

import pytest

from mailops.content.checking import look_over

MJML = "<mjml><mj-body><mj-section><mj-column>\n<mj-text>{}</mj-text></mj-column></mj-section></mj-body></mjml>"


def first_error(html, **sources):
    look = look_over(subject="x", html=html, text="", sample={"name": "Ada"}, **sources)
    return look.errors[0]


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("{% iff name %}x{% endif %}", "Is it “if”?"),
        ("{% for x in list %}x{% endfro %}{% endfor %}", "Is it “endfor”?"),
        ("{% zzzz %}", "Check the spelling."),
        ("{{ name | upcas }}", "Is it “upcase”?"),
        ("{% else %}", "between {% if … %} and {% endif %}"),
        ("{% endfor %}", "check that {% for … %} stands before it"),
        ("{% if name %}x", "Write {% endif %} where it ends"),
        ("{% if name = 'a' %}x{% endif %}", "{% if a == b %}"),
        ("{% if name && name %}x{% endif %}", "Write “and” and “or”"),
        ("{{ name | default: “x” }}", "straight quotes"),
        ("{{ name | default 'x' }}", "behind a colon"),
        ("{{ name|default('x') }}", "behind a colon"),
        ("{{ first name }}", "A name has no blanks"),
        ("{{ name or 'x' }}", "{{ name | default: 'there' }}"),
        ("{{#if name}}x{{/if}}", "{% if name %}…{% endif %}"),
        ("{% for x name %}{% endfor %}", "{% for item in list %}"),
        ("{% assign x %}", "{% assign name = 'value' %}"),
        ("{{ }}", "a name, a number, or a text in quotes"),
        ("{% include 'Foot' %}", "{% render 'Footer' %}"),
        ("{% render Foot %}", "{% render 'Footer' %}"),
        ("{{ name | truncate: 'x' }}", "a number without quotes"),
        ("{{ 5 | divided_by: 0 }}", "{% if number != 0 %}"),
        ("{{ name", "End it with }}."),
        ("{% if name", "End it with %}."),
        ("<!-- a", "End it with -->."),
        ("<style>p {}", "End it with </style>."),
        ('<a href="https://x.example>b</a>', "the quotation mark and the >"),
    ],
)
def test_says_what_to_write(db, written, fix):
    error = first_error(f"<p>a</p>\n{written}\n")
    assert error.line == 2
    assert fix in error.fix
    assert "MJML" not in error.why + error.fix


def test_of_a_block_that_is_not_there_speaks_of_no_mjml(db):
    error = first_error("<p>a</p>\n{% render 'Foot' %}")
    assert (error.line, error.sentence) == (2, "There is no block “Foot”.")
    assert "MJML" not in error.why + error.fix


@pytest.mark.parametrize("words", ["a < b", "\n{{ name }} <3", "a <= b"])
def test_of_a_sign_that_ends_mjml_is_at_its_line(db, words):
    error = first_error(MJML.format(words), syntax="mjml")
    assert error.sentence == "“<” stands here as a word: write &lt;."
    assert error.line == 2 + words.count("\n")
