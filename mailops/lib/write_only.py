"""Form inputs for what no page tells again: passwords, and addresses that hold a token."""

from typing import Any

from django import forms
from django.forms.widgets import Input


class _WriteOnly(Input):
    """Shows nothing of what was typed; where that was not saved, it asks for it again."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        asked = {"placeholder": "Not saved yet: type it again"} if value else {}
        return super().get_context(name, None, {**(attrs or {}), **asked})


class WriteOnlyPassword(_WriteOnly, forms.PasswordInput):
    pass


class WriteOnlyURL(_WriteOnly, forms.URLInput):
    pass
