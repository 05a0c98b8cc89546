import pytest

from mailops.audiences.forms import AttributesField, ContactForm
from mailops.audiences.naming import MAX_NAME, free_name, liquid_name, problem_of_name


class TestLiquidName:
    @pytest.mark.parametrize(
        ("column", "name"),
        [
            ("First name", "first_name"),
            (" E-Mail ", "e_mail"),
            ("Straße", "strasse"),
            ("Prénom", "prenom"),
            ("2nd line", "c_2nd_line"),
            ("for", "for_"),
            ("email", "email_"),
            ("名前", ""),
            ("x" * 80, "x" * MAX_NAME),
        ],
    )
    def test_makes_names_that_templates_can_read(self, column, name):
        assert liquid_name(column) == name
        assert not name or not problem_of_name(name)

    def test_gives_each_column_a_name_of_its_own(self):
        taken: set[str] = set()
        assert [free_name("name", taken) for _ in range(3)] == ["name", "name_2", "name_3"]
        assert [free_name("email_", taken) for _ in range(2)] == ["email_", "email_2"]


class TestAttributesField:
    @pytest.mark.parametrize(
        "value",
        [r"C:\new", "one\ntwo", "one\r\ntwo", "\\\n", r"\\n", "a\\", "a: b", "\rx", "'", "\ttab"],
    )
    def test_what_is_shown_is_what_was_known(self, value):
        field = AttributesField()
        known = {"note": f"x{value}", "more": "y"}
        assert field.clean(field.prepare_value(known)) == known

    def test_a_line_break_may_be_typed(self):
        assert AttributesField().clean(r"note: a\nb\c") == {"note": "a\nb\\c"}


def test_the_help_on_attributes_shows_what_is_typed_as_code():
    assert "<code>name: value</code>" in ContactForm()["attributes"].as_field_group()
