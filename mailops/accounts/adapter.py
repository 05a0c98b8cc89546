"""How allauth behaves here: accounts by invitation, security changes on the audit trail, no mail of its own."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.client_address import client_address


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
