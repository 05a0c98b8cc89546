import pytest

from mailops.protocol.html_text import to_text


@pytest.mark.parametrize("digits", ["9" * 5000, "0" * 5000, "x" + "f" * 5000])
def test_a_reference_of_thousands_of_digits_is_one_character(digits):
    assert (
        to_text(f"<p>User&#{digits};unknown &#65;&eacute;</p>").strip() == "User\ufffdunknown A\xe9"
    )
