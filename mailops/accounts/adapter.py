"""How allauth behaves here: accounts by invitation, security changes on the audit trail, mail that may fail."""

import logging
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from mailops.accounts.auditing import audit
from mailops.accounts.models import User

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Tell whether to go on to `url`: a place of ours. One that is no URL, which the library can't parse, is none."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Write each change of a password or second factor to the audit trail, then tell the user."""
        verb = template_prefix.rpartition("/")[2]
        audit(actor=user, verb=f"user.{verb}", subject=user)
        super().send_notification_mail(template_prefix, user, context=context, email=email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send, or log why not: the pages say the same either way and name the other way, an admin's link."""
        try:
            super().send_mail(template_prefix, email, context)
        except (OSError, SMTPException):
            log.exception("Could not send the mail %s", template_prefix)
