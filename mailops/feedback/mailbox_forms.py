"""The form of a mailbox that bounces are read from."""

from typing import Any, ClassVar

from django import forms

from mailops.accounts.meanwhile import field_of
from mailops.feedback.models import Mailbox
from mailops.lib.egress import is_trusted
from mailops.lib.secrets import Secret
from mailops.lib.written_words import LineField
from mailops.transports.forms.transports import EndpointForm, SecretField
from mailops.transports.models import OAuthGrant

# A token is said to its provider's own server and to no other.
_SERVERS = {
    "google": ("imap.gmail.com", "imap.googlemail.com"),
    "microsoft": ("outlook.office365.com",),
}


class MailboxForm(EndpointForm):
    password = SecretField(
        required=False, help_text="Stored encrypted; it is never shown again. Empty with OAuth 2.0."
    )
    grant = forms.ModelChoiceField(
        OAuthGrant.objects.select_related("credential__transport").order_by("credential__label"),
        required=False,
        label="Or log in by OAuth 2.0 as",
        help_text="The permission of a credential that signed in; for Microsoft 365 one that says that bounces are read, too.",
        empty_label="Nobody: with a password",
    )
    field_order = [
        "name", "host", "port", "security", "username", "password", "grant", "folder", "then",
        "target", "is_enabled",
    ]  # fmt: skip

    class Meta:
        model = Mailbox
        fields: ClassVar[list[str]] = [
            "name", "host", "port", "security", "username", "grant", "folder", "then", "target",
            "is_enabled",
        ]  # fmt: skip
        field_classes: ClassVar = {"name": LineField}
        labels: ClassVar = {
            "security": "TLS",
            "username": "User name",
            "then": "What to do with a mail once it is stored",
            "target": "Folder to move to",
            "is_enabled": "Read it, as mail comes where the server tells of it, else each minute",
        }
        help_texts: ClassVar = {
            "host": "Such as imap.example.com.",
            "port": "993 with implicit TLS, 143 with STARTTLS.",
            "folder": "All mail in it is read and stored, so give one that bounces alone are filed into.",
            "target": "Only where mails are moved; it must be there.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs["autocomplete"] = "off"
        self._endpoint = self.instance.sealed_endpoint
        if self.instance.pk:
            self.fields["seen"] = field_of(self.instance.mark)
        if self.instance.password:
            self.fields["password"].help_text = "Leave empty to keep the stored one."

    def clean_username(self) -> str:
        return self._line("username")

    def clean_folder(self) -> str:
        return self._line("folder")

    def clean_target(self) -> str:
        return self._line("target")

    def _line(self, name: str) -> str:
        text: str = self.cleaned_data[name].strip()
        if not text.isprintable():
            raise forms.ValidationError("It has control characters in it.")
        return text

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            for check in (self._check_login, self._check_target, self._check_tls):
                check(cleaned)
        return cleaned

    def _check_tls(self, cleaned: dict[str, Any]) -> None:
        is_clear = cleaned["security"] == Mailbox.Security.NONE
        if is_clear and not is_trusted(cleaned["host"], cleaned["port"]):
            self.add_error("security", "Without TLS only trusted relays are spoken to: name this exact host and port in MAILOPS_TRUSTED_RELAYS.")  # fmt: skip

    def _check_login(self, cleaned: dict[str, Any]) -> None:
        grant: OAuthGrant | None = cleaned["grant"]
        if grant is None:
            shown = Mailbox(
                host=cleaned["host"], port=cleaned["port"], security=cleaned["security"]
            )
            is_kept = bool(self.instance.password) and shown.sealed_endpoint == self._endpoint
            if not cleaned["password"] and not is_kept:
                self.add_error("password", "Give the password: it is bound to host, port and TLS.")
        elif cleaned["password"]:
            self.add_error("password", "Give a password or choose who signed in, not both.")
        elif (known := _SERVERS.get(grant.provider)) and cleaned["host"] not in known:
            self.add_error("grant", f"Its token is for {known[0]} alone.")
        elif not grant.reads_mail:
            self.add_error("grant", "It permits sending alone: change that credential, tick that bounces are read too, and sign in again.")  # fmt: skip

    def _check_target(self, cleaned: dict[str, Any]) -> None:
        if cleaned["then"] != Mailbox.Then.MOVE:
            cleaned["target"] = ""
        elif not cleaned["target"]:
            self.add_error("target", "Name the folder.")
        elif cleaned["target"] == cleaned["folder"]:
            self.add_error("target", "It is the folder that is read.")

    @property
    def given(self) -> dict[str, Any]:
        """Return what the verbs of `mailboxes` take."""
        return {name: self.cleaned_data[name] for name in self.Meta.fields}

    @property
    def new_password(self) -> Secret | None:
        return self.cleaned_data["password"] or None
