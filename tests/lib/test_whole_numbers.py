import pytest

from mailops.lib.whole_numbers import whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1), ("1" * 19, None), ("1" * 5000, None)],
    ids=lambda value: str(value)[:20],
)
def test_digits_are_read_as_far_as_a_row_can_hold_them(text, number):
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", " 1", "1\n", "-1", "+1", "1_0", "1.0", "²", "١", "ten"])
def test_all_else_is_none(text):
    assert whole_number(text) is None
