"""A `<select>` that is written in one go: Django renders a template for each option, a second for a thousand."""

from collections.abc import Iterable
from typing import Any, cast

from django import forms
from django.forms.utils import flatatt
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe


class QuickSelect(forms.Select):
    """Of choices without groups."""

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: Any = None,  # noqa: ARG002 - Django's signature
    ) -> SafeString:
        chosen = set(self.format_value(value))
        own = flatatt(self.build_attrs({"name": name, **self.attrs}, attrs))
        options = "".join(
            f'<option value="{conditional_escape(key)}"{" selected" if str(key) in chosen else ""}>'
            f"{conditional_escape(label)}</option>"
            for key, label in cast("Iterable[tuple[Any, Any]]", self.choices)
        )
        return mark_safe(f"<select{own}>{options}</select>")  # noqa: S308 - all of it is escaped
