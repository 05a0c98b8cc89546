"""Form fields for words that people write for other people, names among them: what can't be seen in them is not kept."""

from typing import Any

from django import forms

from mailops.lib.one_line import line_by_line, unbroken


class LineField(forms.CharField):
    """Words on one line."""

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return super().to_python(value)
        seen = self._as_seen(value)
        if self.required and value.strip() and not seen.strip():
            raise forms.ValidationError("Nothing of it can be seen: write a word.", code="required")
        return super().to_python(seen)

    def _as_seen(self, text: str) -> str:
        return unbroken(text)


class LinesField(LineField):
    """Words on several lines, whose ends are kept."""

    widget = forms.Textarea

    def _as_seen(self, text: str) -> str:
        return line_by_line(text)
