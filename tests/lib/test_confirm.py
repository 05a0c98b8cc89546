from mailops.lib.confirm import ConfirmForm


class TestConfirmForm:
    def test_wants_the_exact_name(self):
        assert ConfirmForm({"typed_name": " Spring "}, name="Spring").is_valid()
        form = ConfirmForm({"typed_name": "spring"}, name="Spring")
        assert form.errors["typed_name"] == ["That is not “Spring”."]
