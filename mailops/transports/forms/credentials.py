"""The form of what a transport logs in with."""

from typing import Any, ClassVar

from django import forms
from django.db.models import Q

from mailops.accounts.meanwhile import field_of
from mailops.lib.moments import DayField
from mailops.lib.secrets import Secret
from mailops.lib.written_words import LineField
from mailops.transports.forms.transports import ReferenceField, SecretField
from mailops.transports.kinds.apis import APIS, Api
from mailops.transports.models import Credential
from mailops.transports.models.credential import CredentialQuerySet
from mailops.transports.providers import Preset


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    """Takes a secret or a reference to one; with `is_optional` neither, where the stored one may stay."""

    secret = SecretField(required=False, help_text="Stored encrypted; it is never shown again.")
    reference = ReferenceField(
        required=False,
        max_length=254,
        label="Or where to read it",
        help_text="env:MAILOPS_SECRET_NAME, or file:name inside MAILOPS_SECRET_FOLDER.",
    )

    class Meta:
        model = Credential
        fields: ClassVar[list[str]] = ["label", "username", "expires_on"]
        field_classes: ClassVar = {"label": LineField, "expires_on": DayField}
        labels: ClassVar = {"username": "User name"}
        help_texts: ClassVar = {
            "label": "To tell credentials apart, such as “March 2026”.",
            "expires_on": "The day from which the provider takes it no more; mailops warns a month before.",
        }

    def __init__(self, *args: Any, preset: Preset | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs["autocomplete"] = "off"
        self.fields["username"].required = True
        if preset and not self.instance.pk:
            self.fields["username"].initial = preset.username
        kind = preset.kind if preset else self.instance.transport.kind if self.instance.pk else ""
        if api := APIS.get(kind):
            self.fields["secret"].label = api.key_label
            self._name_user(api)
        if self.instance.pk:
            self.fields["reference"].initial = self.instance.reference
            self.fields["secret"].help_text = "Leave empty to keep the stored one."
            self.fields["seen"] = field_of(self.instance.mark)

    def _name_user(self, api: Api) -> None:
        """Ask for what an API calls a user name, or for none where it knows only keys."""
        field = self.fields["username"]
        field.label = api.user_label
        if not api.user_label:
            field.required, field.widget = False, forms.HiddenInput()

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        if any(not c.isprintable() for c in username):
            raise forms.ValidationError("A user name has no control characters in it.")
        return username

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        secret, reference = cleaned.get("secret"), cleaned.get("reference")
        if secret and reference and reference != self.instance.reference:
            self.add_error("reference", "Give the secret or where to read it, not both.")
        if not secret and not reference and not self.errors and not self.instance.secret:
            self.add_error("secret", "Give the secret, or where to read it.")
        return cleaned

    @property
    def given(self) -> dict[str, Any]:
        """Return what the verbs of `credentials` take; a secret that is given replaces a reference."""
        secret: Secret | None = self.cleaned_data["secret"] or None
        reference = "" if secret else self.cleaned_data["reference"]
        return {
            "label": self.cleaned_data["label"],
            "username": self.cleaned_data["username"],
            "expires_on": self.cleaned_data["expires_on"],
            "secret": secret,
            "reference": reference if reference != self.instance.reference else "",
        }


class MoveOverForm(forms.Form):
    without_test = forms.BooleanField(
        required=False,
        label="Move over even if the test fails",
        help_text="For a server that can't be reached just now. A refused log-in goes back by itself.",
    )


class CredentialFilterForm(forms.Form):
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=254,
        widget=forms.SearchInput(),
    )
    state = forms.ChoiceField(
        required=False,
        choices=[("", "In use or not"), ("active", "In use"), ("standby", "Standing by")],
    )

    def apply(self, credentials: CredentialQuerySet) -> CredentialQuerySet:
        """Return those of `credentials` that the filter asks for."""
        if text := self.cleaned_data.get("q"):
            credentials = credentials.filter(
                Q(label__icontains=text)
                | Q(username__icontains=text)
                | Q(transport__name__icontains=text)
            )
        if state := self.cleaned_data.get("state"):
            credentials = credentials.filter(is_active=state == "active")
        return credentials
