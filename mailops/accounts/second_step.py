"""The second step of a log-in: whoever gave the password is asked for the second factor."""

from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import constant_time_compare

ASKED_FOR = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


class SecondFactorStage(AuthenticateStage):  # type: ignore[misc]
    """Ends with their sessions: the library would go on by a password that was changed since, or an account that was."""

    def handle(self) -> tuple[HttpResponseBase | None, bool]:
        self.state["hash"] = self.login.user.get_session_auth_hash()
        response, goes_on = super().handle()
        return response, goes_on

    def is_resumable(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Tell whether to lead back to the second step; else the log-in page is shown, where both would lead in a circle."""
        return self._still_stands() and bool(is_mfa_enabled(self.login.user, ASKED_FOR))

    def exit(self) -> HttpResponseBase:
        answer: HttpResponseBase
        if self._still_stands():
            answer = super().exit()
        else:
            sentence = "You were logged out everywhere in the meantime. Log in again."
            messages.warning(self.request, sentence)
            answer = self.abort()
        return answer

    def _still_stands(self) -> bool:
        """Tell whether no password was set, and nobody logged them out everywhere, since the first step."""
        return constant_time_compare(
            self.state.get("hash", ""), self.login.user.get_session_auth_hash()
        )
