"""Form fields for words that people write for other people: what can't be seen in them is not kept."""

from typing import Any

from django import forms

from mailops.lib.one_line import line_by_line, unbroken


class LineField(forms.CharField):
    """Words on one line."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(unbroken(value) if isinstance(value, str) else value)


class LinesField(forms.CharField):
    """Words on several lines, whose ends are kept."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        return super().to_python(line_by_line(value) if isinstance(value, str) else value)
