"""Words that people write for other people."""

import pytest
from django.core.exceptions import ValidationError

from mailops.lib.written_words import LineField, LinesField

TYPED = " a\x07b\x1b[31m \u202egnp.exe\r\n\r\n  - שלום\u200f,\tc \r"


def test_of_several_lines_keep_their_ends_and_nothing_that_can_not_be_seen():
    assert LinesField().clean(TYPED) == "a b [31m  gnp.exe\n\n  - שלום , c"


def test_of_one_line_stay_on_it():
    assert LineField().clean(TYPED) == "a b [31m gnp.exe - שלום , c"


@pytest.mark.parametrize("field", [LineField, LinesField])
def test_that_nobody_can_see_are_none(field):
    with pytest.raises(ValidationError, match="Nothing of it can be seen"):
        field().clean("\x07\u202e\u200b\r\n")
    with pytest.raises(ValidationError, match="This field is required"):
        field().clean(" \r\n")
    assert field(required=False).clean(None) == ""


def test_count_a_line_end_once_as_browsers_do():
    assert LinesField(max_length=3).clean("a\r\nb") == "a\nb"
