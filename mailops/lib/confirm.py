"""The form of a dangerous act: it wants the name of what it touches typed out."""

from typing import Any

from django import forms


class ConfirmForm(forms.Form):
    """Valid only when the `name` was typed, letter for letter; blanks count as a page shows them: one for many."""

    typed_name = forms.CharField(
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["typed_name"].label = f"Type “{name}” to go on"

    def clean_typed_name(self) -> str:
        typed: str = self.cleaned_data["typed_name"]
        if typed.split() != self.name.split():
            raise forms.ValidationError(f"That is not “{self.name}”.")
        return typed
