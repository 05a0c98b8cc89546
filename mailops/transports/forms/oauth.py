"""The forms of credentials that log in by OAuth 2.0."""

from typing import Any, ClassVar

from django import forms

from mailops.accounts.meanwhile import field_of
from mailops.lib.egress import is_confidential
from mailops.lib.moments import DayField
from mailops.lib.secrets import Secret
from mailops.lib.written_words import LineField
from mailops.transports.forms.transports import SecretField
from mailops.transports.models import Credential, OAuthGrant
from mailops.transports.models.oauth import MICROSOFT_READING, PROVIDERS

_OF_CREDENTIAL = ("label", "username", "expires_on")
_OWN = ("own_authorize_url", "own_token_url", "own_scope")


class ProviderForm(forms.Form):
    provider = forms.ChoiceField(
        choices=[(key, provider.name) for key, provider in PROVIDERS.items()]
    )


class GrantForm(forms.ModelForm):  # type: ignore[type-arg]
    """What an app and a mailbox are known by; the provider decides which fields there are."""

    label = LineField(max_length=100, help_text="To tell credentials apart, such as “March 2026”.")
    username = forms.EmailField(
        label="Mailbox", max_length=254, help_text="The address that signs in and sends."
    )
    client_secret = SecretField(
        required=False,
        help_text="Stored encrypted; never shown again. Leave empty for an app that has none.",
    )
    refresh_token = SecretField(
        required=False, help_text="Only if you have one already; else sign in on the next page."
    )
    reads_mail = forms.BooleanField(
        required=False,
        label="Bounces are read from this mailbox too, by IMAP",
        help_text="Asks for IMAP.AccessAsUser.All beside SMTP.Send; then somebody must sign in again.",
    )
    expires_on = DayField(
        required=False,
        label="Client secret expires on",
        help_text="mailops warns a month before.",
    )
    field_order = [
        "label",
        "username",
        "tenant",
        "client_id",
        "client_secret",
        "expires_on",
        *_OWN,
        "reads_mail",
        "refresh_token",
    ]

    class Meta:
        model = OAuthGrant
        fields: ClassVar[list[str]] = ["tenant", "client_id", *_OWN]
        labels: ClassVar = {
            "tenant": "Directory (tenant) id",
            "client_id": "Client id",
            "own_authorize_url": "Sign-in address",
            "own_token_url": "Token address",
            "own_scope": "Scope",
        }
        help_texts: ClassVar = {"tenant": "Empty for an app of several directories."}

    def __init__(self, *args: Any, provider: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        for name in _OWN if provider != "other" else ("tenant",):
            del self.fields[name]
        if provider == "google":
            del self.fields["tenant"]
            if not (self.instance.pk and self.instance.credential.expires_on):
                del self.fields["expires_on"]  # those of Google hold until somebody ends them
        if provider != "microsoft":
            del self.fields["reads_mail"]
        elif self.instance.pk:
            self.fields["reads_mail"].initial = self.instance.reads_mail
        for name in _OWN:
            if name in self.fields:
                self.fields[name].required = name != "own_scope"
        if self.instance.pk:
            credential: Credential = self.instance.credential
            self.fields["client_secret"].help_text = "Leave empty to keep the stored one."
            self.initial.update((name, getattr(credential, name)) for name in _OF_CREDENTIAL)
            self.fields["seen"] = field_of(self.instance.mark)

    def clean_tenant(self) -> str:
        tenant: str = self.cleaned_data["tenant"].strip()
        if tenant and not all(c.isalnum() or c in ".-" for c in tenant):
            raise forms.ValidationError("A directory is an id or a domain name.")
        return tenant

    def clean_client_id(self) -> str:
        client_id: str = self.cleaned_data["client_id"].strip()
        if not client_id.isprintable() or " " in client_id:
            raise forms.ValidationError("A client id has no spaces in it.")
        return client_id

    def clean_own_authorize_url(self) -> str:
        return _read_url(self.cleaned_data["own_authorize_url"])

    def clean_own_token_url(self) -> str:
        return _read_url(self.cleaned_data["own_token_url"])

    @property
    def of_credential(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in _OF_CREDENTIAL if name in self.fields}

    @property
    def of_grant(self) -> dict[str, Any]:
        own = {name: self.cleaned_data[name] for name in self.Meta.fields if name in self.fields}
        return {"provider": self.provider, **own, **self._wider_scope}

    @property
    def _wider_scope(self) -> dict[str, str]:
        if "reads_mail" not in self.fields:
            return {}
        sending = PROVIDERS[self.provider].scope
        return {
            "own_scope": f"{MICROSOFT_READING} {sending}" if self.cleaned_data["reads_mail"] else ""
        }

    @property
    def new_client_secret(self) -> Secret | None:
        return self.cleaned_data["client_secret"] or None

    @property
    def new_refresh_token(self) -> Secret | None:
        return self.cleaned_data["refresh_token"] or None


class CallbackForm(forms.Form):
    """What a provider sends a browser back with."""

    state = forms.CharField(max_length=200)
    code = forms.CharField(max_length=4096, required=False)
    error = forms.CharField(max_length=200, required=False)


def _read_url(url: str) -> str:
    """Return an address that may be asked: https, or in clear text a trusted relay."""
    if not is_confidential(url):
        raise forms.ValidationError("Give an https address.")
    return url
