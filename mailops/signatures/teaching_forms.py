"""What a person may say of a signature."""

from typing import Any

from django import forms

from mailops.lib.templatetags.words import FAULTS, reason_sentence, reason_word
from mailops.lib.written_words import LineField, LinesField
from mailops.outbox.models import Signature
from mailops.protocol.classification import Fault, Reason
from mailops.signatures.teaching import Word, word_of


class TeachForm(forms.Form):
    name = LineField(
        required=False,
        max_length=100,
        help_text="How the team calls it, such as “Outlook blocks our range”.",
    )
    cause = LinesField(
        required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it means, in a sentence or two.",
    )  # fmt: skip
    fix = LinesField(
        required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What to press, change or ask, and of whom.",
    )  # fmt: skip
    owner = forms.ChoiceField(
        label="Whose business", required=False, choices=Signature.Owner.choices
    )
    reason = forms.ChoiceField(
        required=False,
        help_text="Decides what becomes of such messages. Left as it is read, only the words above change.",
    )
    kind = forms.ChoiceField(
        required=False,
        choices=[
            ("", "As its code says"),
            ("permanent", "Final: it is not tried again"),
            ("transient", "Passes: it is tried again"),
        ],
    )
    fault = forms.ChoiceField(required=False)
    revision = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)
    key = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any, *, signature: Signature) -> None:
        said = word_of(signature)
        initial = {
            "revision": signature.revision,
            **{name: getattr(said, name) for name in Word.__dataclass_fields__},
        }
        super().__init__(data, initial=initial)
        reasons = sorted((_words(reason), str(reason)) for reason in Reason)
        as_read = reason_word(signature.reason).lower()
        self._offer(
            "reason", f"As mailops reads it: {as_read}", [(one, said) for said, one in reasons]
        )
        faults = [(str(fault), FAULTS[fault].capitalize()) for fault in Fault]
        self._offer("fault", "As the reason says", faults)

    def _offer(self, name: str, first: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = [("", first), *choices]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        for name in ("kind", "fault"):
            if data.get(name) and not data.get("reason") and not self.errors:
                self.add_error(name, "Choose the reason as well: it goes with that.")
        return data

    @property
    def word(self) -> Word:
        return Word(**{name: self.cleaned_data[name] for name in Word.__dataclass_fields__})


class UndoForm(forms.Form):
    """The press that takes a lesson back."""

    key = forms.UUIDField(widget=forms.HiddenInput)


def _words(reason: Reason) -> str:
    return f"{reason_word(reason)}: {reason_sentence(reason)}".rstrip(".")
