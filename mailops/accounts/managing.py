"""Invites people, changes what they may do, and lets them go; the last admin always stays."""

from collections import Counter
from dataclasses import dataclass

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect, mark_of
from mailops.accounts.models import Role, SecondFactor, User

_KINDS = {  # in the order they are told
    SecondFactor.Type.TOTP: "authenticator app",
    SecondFactor.Type.WEBAUTHN: "passkey",
    SecondFactor.Type.RECOVERY_CODES: "recovery codes",
}

RESET = "user.reset_second_factor"


class LastAdmin(Exception):
    """Nobody would be left who may manage users."""

    sentence = "This is the last admin who can log in. Make somebody else an admin first, and let them set their password."


@dataclass(frozen=True)
class Invitation:
    user: User
    link: str  # sets the password once; valid for PASSWORD_RESET_TIMEOUT


def invite(*, actor: User, email: str, name: str, role: str) -> Invitation:
    """Make a user without a password, and the link that sets one."""
    with transaction.atomic():
        user = User.objects.create_user(email, name=name, role=role)
        audit(actor=actor, verb="user.invite", subject=user, after={"email": email, "role": role})
    return Invitation(user, _password_link(user))


def renew_link(*, actor: User, user: User) -> Invitation:
    """Make a new link to set the password, for one that is lost or forgotten; those made before work no more."""
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        _end_links(locked)
        audit(actor=actor, verb="user.make_link", subject=locked)
    return Invitation(locked, _password_link(locked))


def _end_links(user: User) -> None:
    """End the links of a locked user that set the password."""
    user.ended_links += 1
    user.save(update_fields=["ended_links"])


def mark_of_user(user: User) -> str:
    """Return what tells their name and role from others."""
    return mark_of(user.name, user.role)


def change_user(*, actor: User, user: User, name: str, role: str, seen: str | None = None) -> bool:
    """Change name and role; return whether that changed anything. Raise LastAdmin.

    Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    with transaction.atomic():
        locked = _locked(user, keeps_admin=role == Role.ADMIN)
        expect(seen, was=mark_of_user(locked), wanted=mark_of(name, role))
        before = {"name": locked.name, "role": locked.role}
        after = {"name": name, "role": role}
        if after == before:
            return False
        User.objects.filter(pk=user.pk).update(**after)
        audit(actor=actor, verb="user.change", subject=user, before=before, after=after)
    return True


def mark_of_profile(user: User) -> str:
    """Return what tells their name and time zone from others."""
    return mark_of(user.name, user.time_zone)


def change_profile(*, user: User, name: str, time_zone: str, seen: str | None = None) -> bool:
    """Change what a person says of themselves; return whether that changed anything.

    An admin may change or deactivate them meanwhile.

    Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        expect(seen, was=mark_of_profile(locked), wanted=mark_of(name, time_zone))
        wanted = {"name": name, "time_zone": time_zone}
        after = {field: said for field, said in wanted.items() if said != getattr(locked, field)}
        if not after:
            return False
        before = {field: getattr(locked, field) for field in after}
        User.objects.filter(pk=user.pk).update(**after)
        audit(actor=user, verb="user.profile", subject=user, before=before, after=after)
    return True


def deactivate(*, actor: User, user: User) -> None:
    """Take the log-in away, and end every session and link for good. Raise LastAdmin."""
    with transaction.atomic():
        locked = _locked(user, keeps_admin=False)
        logged_out = {"is_active": False, "ended_sessions": F("ended_sessions") + 1}
        if User.objects.filter(pk=user.pk, is_active=True).update(**logged_out):
            _end_links(locked)
            audit(actor=actor, verb="user.deactivate", subject=user)


def second_factors(user: User) -> list[str]:
    """Return in words what they are asked for beside the password, and what stands in for it."""
    has = Counter(SecondFactor.objects.filter(user=user).values_list("type", flat=True))
    return [
        f"{has[kind]} {word}s" if has[kind] > 1 else word
        for kind, word in _KINDS.items()
        if has[kind]
    ]


def reset_second_factor(*, actor: User | None, user: User) -> bool:
    """Take away what a person is asked for beside the password, and log them out everywhere; return whether there was any.

    With it go passkeys, which log in alone: whoever lost the phone may have lost them, too.
    """
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        had = second_factors(locked)
        if had:
            SecondFactor.objects.filter(user=locked).delete()
            User.objects.filter(pk=user.pk).update(ended_sessions=F("ended_sessions") + 1)
            audit(
                actor=actor,
                verb=RESET,
                subject=locked,
                before={"second factor": had},
            )
    return bool(had)


def log_out_elsewhere(*, user: User) -> bool:
    """End every session of a person; return whether they may go on in the one they pressed in, by their new hash.

    They may not where another was first that ended theirs: whoever is logged out keeps nothing by a press of their own.
    """
    ended = user.ended_sessions + 1
    with transaction.atomic():
        as_it_was = {"is_active": True, "password": user.password, "ended_sessions": ended - 1}
        if not User.objects.filter(pk=user.pk, **as_it_was).update(ended_sessions=ended):
            return False
        audit(actor=user, verb="user.log_out_elsewhere", subject=user)
    user.ended_sessions = ended
    return True


def reactivate(*, actor: User, user: User) -> bool:
    """Give the log-in back; nobody is logged in by it. Return whether it was away."""
    with transaction.atomic():
        is_back = User.objects.filter(pk=user.pk, is_active=False).update(is_active=True)
        if is_back:
            audit(actor=actor, verb="user.reactivate", subject=user)
    return bool(is_back)


def _locked(user: User, *, keeps_admin: bool) -> User:
    """Lock all admins, so that two of them can't take each other's role at the same moment.

    Who was invited and never set a password can't let anybody in, and a link ends.
    """
    admins = list(
        User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).order_by("pk")
    )
    able = {admin.pk for admin in admins if admin.has_usable_password()}
    if not keeps_admin and able == {user.pk}:
        raise LastAdmin
    return User.objects.select_for_update().get(pk=user.pk)


def _password_link(user: User) -> str:
    key = default_token_generator.make_token(user)
    path = reverse(
        "account_reset_password_from_key",
        kwargs={"uidb36": user_pk_to_url_str(user), "key": key},
    )
    return f"{settings.MAILOPS_BASE_URL}{path}"
