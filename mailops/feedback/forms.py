"""What a person may ask of the feedback pages."""

from typing import Any

from django import forms

from mailops.feedback.models import RawFeedback
from mailops.lib.whole_numbers import LARGEST_ID
from mailops.protocol.address import InvalidAddress, address_key


class FeedbackFilterForm(forms.Form):
    q = forms.CharField(
        label="Message to",
        required=False,
        max_length=320,
        widget=forms.TextInput(attrs={"placeholder": "the whole address"}),
    )
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *RawFeedback.State.choices])
    kind = forms.ChoiceField(required=False, choices=[("", "Any"), *RawFeedback.Kind.choices])
    source = forms.ChoiceField(required=False, choices=[("", "Any"), *RawFeedback.Source.choices])

    def clean_q(self) -> str:
        """Return the key of the address that is searched for."""
        given: str = self.cleaned_data["q"].strip()
        try:
            return address_key(given, allow_utf8=True) if given else ""
        except InvalidAddress as refused:
            raise forms.ValidationError(refused.sentence) from refused

    @property
    def lookups(self) -> dict[str, Any]:
        """The filters chosen, as a QuerySet takes them."""
        chosen = {name: self.cleaned_data[name] for name in ("state", "kind", "source")}
        chosen["message__address_key"] = self.cleaned_data["q"]
        return {name: value for name, value in chosen.items() if value}


class KeysetForm(forms.Form):
    before = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID)


class WebhookKeyForm(forms.Form):
    key = forms.CharField(
        max_length=2000,
        help_text="Kept encrypted and never shown again.",
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_key(self) -> str:
        """Return the key as calls are checked with it: every provider's is printable ASCII."""
        key: str = self.cleaned_data["key"].strip()
        if not key.isascii() or any(ord(letter) < 32 and letter not in "\r\n" for letter in key):
            raise forms.ValidationError("That is no key: it has other letters than ASCII in it.")
        return key


class LeaveForm(forms.Form):
    scope = forms.ChoiceField(required=False, choices=[("stream", "stream"), ("all", "all")])
