"""allauth's forms in our words: labels as sentences, and no label said twice as a placeholder."""

from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.fields import PasswordField
from allauth.account.forms import (
    ChangePasswordForm,
    LoginForm,
    ReauthenticateForm,
    ResetPasswordKeyForm,
)
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AddWebAuthnForm, LoginWebAuthnForm
from allauth.mfa.webauthn.internal.auth import parse_authentication_response

from mailops.lib.written_words import LineField


class _Plain:
    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
            if type(field) is PasswordField:  # of a new one the help is its rules
                field.help_text = ""  # a link: the keyboard would meet it before the field
            field.label = str(field.label).capitalize()


class LogIn(_Plain, LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "E-mail address"


class ChangePassword(_Plain, ChangePasswordForm):  # type: ignore[misc]
    def clean_oldpassword(self) -> str:
        """Count a wrong one as a log-in's: the library does not, so whoever found a page open could try thousands a day."""
        password: str = self.cleaned_data["oldpassword"]
        if not get_account_adapter().reauthenticate(self.user, password):
            raise get_account_adapter().validation_error("enter_current_password")
        return password


class SetPassword(_Plain, ResetPasswordKeyForm):  # type: ignore[misc]
    pass


class SecondFactorCode(_Plain, AuthenticateForm):  # type: ignore[misc]
    pass


class AddPasskey(_Plain, AddWebAuthnForm):  # type: ignore[misc]
    name = LineField(label="Name", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        alone = self.fields["passwordless"]
        alone.label = "Log in with it alone"
        alone.help_text = (
            "No password is asked for then; it must know you by a PIN, your finger or your face."
        )


class LogInByPasskey(LoginWebAuthnForm):  # type: ignore[misc]
    def clean_credential(self) -> Authenticator:
        """Refuse a mere touch: the challenge may have been one of a second factor's, which asks for no more."""
        answer = parse_authentication_response(self.cleaned_data["credential"]).response
        if not answer.authenticator_data.is_user_verified():
            raise get_adapter().validation_error("incorrect_code")
        return super().clean_credential()


class Reauthenticate(_Plain, ReauthenticateForm):  # type: ignore[misc]
    pass
