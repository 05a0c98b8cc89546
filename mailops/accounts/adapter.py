"""How allauth behaves here: accounts by invitation, security changes on the audit trail, no mail of its own."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from mailops.accounts.auditing import audit
from mailops.accounts.managing import RESET
from mailops.accounts.models import AuditEntry, SecondFactor, User
from mailops.lib.client_address import client_address
from mailops.lib.secrets import Secret, Unsealable

_OURS = {"allauth.mfa.stages.AuthenticateStage": "mailops.accounts.second_step.SecondFactorStage"}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages: ClassVar = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "The e-mail address or the password is not correct.",
        "too_many_login_attempts": "Too many failed log-ins. Try again in some minutes.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request.META) or str(super().get_client_ip(request))

    def is_safe_url(self, url: str | None) -> bool:
        """Tell whether to go on to `url`: a place of ours, named by its path.

        The library takes any of ALLOWED_HOSTS for ours; “localhost” leads to whatever runs on the reader's own machine.
        """
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_login_stages(self) -> list[str]:
        return [_OURS.get(stage, stage) for stage in super().get_login_stages()]

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:  # noqa: ARG002
        """Return what the failed log-ins of one account are counted by.

        The library counts them for each host by itself, with whatever port the client says that it called.
        """
        return str(credentials.get("email", "")).lower()

    def login(self, request: HttpRequest, user: User) -> None:
        """Log in, and tell who was away while an admin reset their second factor: no mail may have told it."""
        resets = AuditEntry.objects.about(User, [user.pk]).filter(verb=RESET)
        if user.last_login:
            resets = resets.filter(at__gt=user.last_login)
        last = resets.order_by("-at").first()
        super().login(request, user)
        if last:
            messages.warning(
                request,
                f"{last.actor_label} reset your second factor on {last.at:%-d %b %Y at %H:%M} UTC. Set up a new one under "
                "“Your log-in”. If you did not ask for this, tell an admin at once.",
            )

    def set_password(self, user: User, password: str) -> None:
        """Keep the new password, and nothing else of `user`: an admin may take a role while it is hashed."""
        user.set_password(password)
        user.save(update_fields=["password"])

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,  # noqa: ARG002
        email: str | None = None,  # noqa: ARG002
    ) -> None:
        """Write each change of a password or second factor to the audit trail."""
        verb = template_prefix.rpartition("/")[2]
        audit(actor=user, verb=f"user.{verb}", subject=user)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send nothing: a log-in that hangs on a stream would be lost with it, so an admin's link does the work."""


class Unopened(ValidationError):
    """A second factor whose key is gone: forms say it, and pages show nothing in its place."""

    silent_variable_failure = True


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        return SecondFactor.sealed(Secret(text))

    def decrypt(self, encrypted_text: str) -> str:
        """Return what was encrypted; raise Unopened."""
        try:
            return SecondFactor.opened(encrypted_text).reveal()
        except Unsealable as error:
            raise Unopened(
                f"Your second factor can't be opened: {error}. Whoever runs mailops can put that key back, or an admin can "
                "reset your second factor."
            ) from error
