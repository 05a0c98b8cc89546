import pytest

from mailops.sandbox.simulating import BEHAVIORS, behavior_of, tag_of


class TestBehavior:
    @pytest.mark.parametrize("name", BEHAVIORS)
    @pytest.mark.parametrize("form", ["{}", "{}7", "{}+7", "{}-ada", "{}+Ada.L", "{}-"])
    def test_is_named_by_the_local_part(self, name, form):
        assert behavior_of(form.format(name) + "@example.net").name == name

    def test_ignores_case(self):
        assert behavior_of("Later-Bounce2@EXAMPLE.net").name == "later-bounce"

    @pytest.mark.parametrize(
        "local_part", ["bouncer", "ada", "fullest", "slow_cooker", "", "x+bounce"]
    )
    def test_of_any_other_name_is_to_accept(self, local_part):
        assert behavior_of(f"{local_part}@example.net").name == "accept"


class TestTag:
    @pytest.mark.parametrize(
        ("recipient", "tag"),
        [
            ("ada+Login-Test@example.net", "login-test"),
            ("bounce+7@example.net", ""),
            ("ada@example.net", ""),
            ("ada+@example.net", ""),
            ("ada+a b@example.net", ""),
        ],
    )
    def test_is_what_follows_the_plus_unless_it_only_counts(self, recipient, tag):
        assert tag_of(recipient) == tag
