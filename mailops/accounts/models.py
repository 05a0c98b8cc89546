"""Who may do what, and who did what."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Self

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models

from mailops.lib.secrets import (
    Place,
    Secret,
    has_key_for_text,
    is_text_sealed_by_first_key,
    seal_text,
    unseal_text,
)


class Role(models.TextChoices):
    # everything, with domains, transports, credentials, users and settings
    ADMIN = "admin", "Admin"
    OPERATOR = "operator", "Operator"  # audiences, campaigns, suppressions, sign-offs
    EDITOR = "editor", "Editor"  # templates
    ONCALL = "oncall", "On-call"  # pause, resume, settle, incidents
    VIEWER = "viewer", "Viewer"  # sees, changes nothing
    NONE = "", "No role"  # may log in and sees nothing


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user who logs in with `email`; without a password none works until one is set."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create an admin, for `manage.py createsuperuser`."""
        return self.create_user(email, password, **{**fields, "role": Role.ADMIN})


class User(AbstractBaseUser):
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100, blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, blank=True, default=Role.NONE)
    time_zone = models.CharField(max_length=64, default="UTC")
    is_active = models.BooleanField(default=True)
    # times that the links to set the password were ended
    ended_links = models.PositiveIntegerField(default=0)
    # times that they were logged out everywhere
    ended_sessions = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[UserManager] = UserManager()

    def __str__(self) -> str:
        return self.name or self.email

    def get_session_auth_hash(self) -> str:
        """Return what their sessions must hold: something else with each password, and once they were logged out everywhere."""
        return f"{super().get_session_auth_hash()}{self.ended_sessions or ''}"

    @cached_property
    def factors(self) -> frozenset[str]:
        """The kinds of second factors this person has, as `Authenticator.Type` names them."""
        return frozenset(Authenticator.objects.filter(user=self).values_list("type", flat=True))

    @property
    def login_state(self) -> str:
        """Return the name of the pill: whether this person can log in."""
        if not self.is_active:
            return "inactive"
        return "active" if self.has_usable_password() else "invited"


class SecondFactor(Authenticator):  # type: ignore[misc]
    """A second factor, of allauth's table: what it is proven by is sealed inside its `data`.

    It is bound to that column, not to its row, since allauth asks us to seal before there is one.
    """

    PLACE: ClassVar = Place(table="mfa_authenticator", column="data", row="", endpoint="")
    SEALED: ClassVar = ("secret", "seed")  # of an authenticator app, of recovery codes
    sealed_columns: ClassVar[tuple[str, ...]] = ()  # it has none that is sealed as a whole

    class Meta:
        proxy = True

    @classmethod
    def sealed(cls, secret: Secret) -> str:
        return seal_text(secret, cls.PLACE)

    @classmethod
    def opened(cls, text: str) -> Secret:
        """Return what `sealed` was given, or what an older version kept in clear; raise Unsealable."""
        return unseal_text(text, cls.PLACE)

    def lacks_key(self) -> bool:
        return not all(
            has_key_for_text(self.data[name]) for name in self.SEALED if name in self.data
        )

    def reseal(self) -> bool:
        """Seal by the first key what an older one sealed, or none; return whether there was any. Raise Unsealable."""
        kept = {name: self.data[name] for name in self.SEALED if name in self.data}
        old = {name: text for name, text in kept.items() if not is_text_sealed_by_first_key(text)}
        if old:
            self.data |= {name: self.sealed(self.opened(text)) for name, text in old.items()}
            self.save(update_fields=["data"])
        return bool(old)


@dataclass(frozen=True)
class Change:
    """One field of an audit entry, as a person reads it."""

    name: str
    before: str
    after: str


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    def about(self, kind: type[models.Model], ids: Iterable[int]) -> Self:
        """Keep what was done to those things of one kind."""
        return self.filter(
            subject_type=kind._meta.label,  # noqa: SLF001 - Django's documented name
            subject_id__in=[str(pk) for pk in ids],
        )

    def last_of_each(self) -> dict[int, datetime]:
        """Return the id of each thing of these entries → when the last of them was made."""
        found = self.order_by().values_list("subject_id").annotate(models.Max("at"))
        return {int(pk): at for pk, at in found}


class AuditEntry(models.Model):
    """One change: who did what to which thing, and how it was before and after; never a secret."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    # kept when the user is gone; "mailops" for the system
    actor_label = models.CharField(max_length=254)
    verb = models.CharField(max_length=60)  # "campaign.launch"
    subject_type = models.CharField(max_length=60)  # "campaigns.Campaign"
    subject_id = models.CharField(max_length=60, blank=True)
    subject_label = models.CharField(max_length=254, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.TextField(blank=True)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["-at"], name="audit_by_time"),  # the trail, newest first
            # one thing's history
            models.Index(fields=["subject_type", "subject_id", "-at"], name="audit_by_subject"),
        ]

    @property
    def subject_key(self) -> str:
        """Return what the trail's filter calls the subject."""
        return f"{self.subject_type}:{self.subject_id}"

    @property
    def changes(self) -> list[Change]:
        """Return the fields that differ."""
        names = dict.fromkeys([*self.before, *self.after])
        return [
            Change(name.replace("_", " "), _readable(old), _readable(new))
            for name in names
            if (old := self.before.get(name)) != (new := self.after.get(name))
        ]


def _readable(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
