"""Asks in a template what a user may do, so that a button nobody may press isn't shown."""

from typing import Any

from django import template

from mailops.accounts.permissions import Act
from mailops.accounts.permissions import may as user_may

register = template.Library()


@register.filter
def may(user: Any, act: str) -> bool:
    """Tell whether `user` may do the act named by its value: {% if request.user|may:"send" %}."""
    return user_may(user, Act(act))
