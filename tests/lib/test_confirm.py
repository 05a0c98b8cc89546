from mailops.lib.confirm import ConfirmForm


class TestConfirmForm:
    def test_wants_the_exact_name(self):
        assert ConfirmForm({"typed_name": " Spring "}, name="Spring").is_valid()
        form = ConfirmForm({"typed_name": "spring"}, name="Spring")
        assert form.errors["typed_name"] == ["That is not “Spring”."]

    def test_takes_blanks_as_a_page_shows_them(self):
        assert ConfirmForm({"typed_name": "Copy of Spring"}, name="Copy of  Spring ").is_valid()
        assert not ConfirmForm({"typed_name": "CopyofSpring"}, name="Copy of Spring").is_valid()
