"""Pages about people: settings, profile, users, the audit trail."""

import json
from collections.abc import Mapping
from typing import Any

from allauth.core.internal.ratelimit import consume_or_429
from allauth.mfa.webauthn.views import login_webauthn
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_POST, require_safe

from mailops.accounts import managing
from mailops.accounts.forms import AuditFilter, InviteForm, OlderThan, ProfileForm, UserForm
from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    first_come,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.models import AuditEntry, Role, User
from mailops.accounts.palette import offers
from mailops.accounts.permissions import (
    Act,
    confirm_password,
    confirm_password_to_change,
    for_anyone,
    for_users,
    needs,
    user_of,
)
from mailops.lib.csv_export import by_steps, stream_csv, wrong_filter
from mailops.lib.htmx import render_page

PAGE = 50
ADMINS = 3  # named to whoever may not do something: enough to find one who is there
LOOKED_AT = 50_000  # entries, for one page of what no index finds: the whole trail only grows
LINK_IN_SESSION = "invitation"  # (user id, link): shown once, then gone


@for_anyone  # whoever forgot the password can't log in
@require_safe
def forgotten_password(request: HttpRequest) -> HttpResponse:
    return render_page(request, "account/password_reset.html", {})


@for_anyone  # who they are, it is to show
def passkey_login(request: HttpRequest) -> HttpResponseBase:
    """Log in by a passkey alone; the challenge, which the library gives as often as anybody asks, is a row of ours."""
    limited: HttpResponseBase | None = consume_or_429(
        request, app="allauth.mfa", action="passkey_challenge", limit_get=True
    )
    return limited or login_webauthn(request)


@for_anyone  # there is nothing behind it
def closed(request: HttpRequest, key: str = "") -> HttpResponse:  # noqa: ARG001 - an address has a key
    """Answer where allauth would let people change and verify their mailbox: an address is what an admin gave."""
    raise Http404


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer whoever may not: which role may, where it is known, and who can give it."""
    admins = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk")
    known = {"needed": str(exception), "admins": admins[:ADMINS]}
    return render(request, "403.html", known, status=403)


@for_users
@require_safe
def settings_page(request: HttpRequest) -> HttpResponse:
    return render_page(request, "accounts/settings.html", {"settings": settings})


@for_users
@require_safe
def palette(request: HttpRequest) -> HttpResponse:
    return JsonResponse(offers(user_of(request)))


@for_users
def profile(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = _profile_form(request.POST or None, user)
    if request.method == "POST" and form.is_valid():
        try:
            is_changed = managing.change_profile(user=user, **form.cleaned_data)
        except ChangedMeanwhile:
            return _profile_conflict(request, User.objects.get(pk=user.pk))
        tell_saved(request, "Your profile is saved.", is_changed=is_changed)
        return redirect("accounts:profile")
    return _form(request, "accounts/profile.html", form)


@for_users
@require_POST
def log_out_elsewhere(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    if managing.log_out_elsewhere(user=user):
        update_session_auth_hash(request, user)
        messages.success(request, "You are logged in here alone.")
    return redirect("mfa_index")


def _profile_form(typed: Mapping[str, Any] | None, user: User) -> ProfileForm:
    seen = managing.mark_of_profile(user)
    return ProfileForm(
        typed, initial={"name": user.name, "time_zone": user.time_zone, "seen": seen}
    )


def _profile_conflict(request: HttpRequest, user: User) -> HttpResponse:
    """Show the profile as it is by now beside what was typed; whoever saves again has seen it."""
    typed = typed_by_one_who_saw(managing.mark_of_profile(user), request.POST)
    again = _profile_form(typed, user)
    told = meanwhile(again, _last_change(user, again))
    return _form(request, "accounts/profile.html", again, told)


@needs(Act.CONFIGURE)
@require_safe
def user_list(request: HttpRequest) -> HttpResponse:
    people = User.objects.order_by("-is_active", "email")
    return render_page(request, "accounts/user_list.html", {"people": people})


@needs(Act.CONFIGURE)
@confirm_password
def user_new(request: HttpRequest) -> HttpResponse:
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with first_come(form):
            invitation = managing.invite(actor=user_of(request), **form.cleaned_data)
        if not form.errors:
            return _to_link(request, invitation)
    return _form(request, "accounts/user_form.html", form)


@needs(Act.CONFIGURE)
@confirm_password_to_change
def user_detail(request: HttpRequest, user_id: int) -> HttpResponse:
    person = get_object_or_404(User, pk=user_id)
    form = _user_form(request.POST or None, person)
    if request.method == "POST" and form.is_valid():
        try:
            is_saved = _tried(request, form, person)
        except ChangedMeanwhile:
            return _conflict(request, get_object_or_404(User, pk=user_id))
        if is_saved:
            return redirect("accounts:user", user_id)
    return _user_page(request, form, person, None)


def _user_form(typed: Mapping[str, Any] | None, person: User) -> UserForm:
    initial = {"name": person.name, "role": person.role, "seen": managing.mark_of_user(person)}
    return UserForm(typed, initial=initial)


def _conflict(request: HttpRequest, person: User) -> HttpResponse:
    """Show name and role as they are by now beside what was typed; whoever saves again has seen them."""
    typed = typed_by_one_who_saw(managing.mark_of_user(person), request.POST)
    again = _user_form(typed, person)
    return _user_page(request, again, person, meanwhile(again, _last_change(person, again)))


def _last_change(person: User, form: forms.Form) -> AuditEntry | None:
    """Return what the audit trail says of who set last what stands there and is something else in `form`."""
    changed = form.changed_data
    return last_done("user.change", person, "user.profile", after__has_any_keys=changed)


def _user_page(
    request: HttpRequest, form: UserForm, person: User, told: Meanwhile | None
) -> HttpResponse:
    kept_id, link = request.session.pop(LINK_IN_SESSION, (None, ""))
    history = AuditEntry.objects.about(User, [person.pk]).order_by("-at")[:10]
    context = {"person": person, "link": link if kept_id == person.pk else "", "history": history}
    context |= {"form": form, "meanwhile": told, "factors": managing.second_factors(person)}
    status = 422 if form.is_bound else 200
    page = render_page(request, "accounts/user_detail.html", context, status=status)
    if context["link"]:
        add_never_cache_headers(page)
    return page


def _tried(request: HttpRequest, form: UserForm, person: User) -> bool:
    """Change the user and say so, or write on the form why not."""
    try:
        is_changed = managing.change_user(actor=user_of(request), user=person, **form.cleaned_data)
    except managing.LastAdmin as error:
        form.add_error("role", error.sentence)
        return False
    tell_saved(request, f"{person.email} is changed.", is_changed=is_changed)
    return True


@needs(Act.CONFIGURE)
@confirm_password
@require_POST
def user_link(request: HttpRequest, user_id: int) -> HttpResponse:
    person = get_object_or_404(User, pk=user_id, is_active=True)
    return _to_link(request, managing.renew_link(actor=user_of(request), user=person))


@needs(Act.CONFIGURE)
@confirm_password_to_change
def user_deactivate(request: HttpRequest, user_id: int) -> HttpResponse:
    person = get_object_or_404(User, pk=user_id, is_active=True)
    if request.method != "POST":
        return render_page(request, "accounts/user_confirm_deactivate.html", {"person": person})
    try:
        managing.deactivate(actor=user_of(request), user=person)
        messages.success(request, f"{person.email} can no longer log in.")
    except managing.LastAdmin as error:
        messages.error(request, error.sentence)
    return redirect("accounts:user", user_id)


@needs(Act.CONFIGURE)
@confirm_password_to_change
def user_second_factor(request: HttpRequest, user_id: int) -> HttpResponse:
    """Ask whether the second factor that somebody lost shall be taken away, and do so by a POST."""
    person = get_object_or_404(User, pk=user_id)
    if request.method != "POST":
        context = {"person": person, "factors": managing.second_factors(person)}
        return render_page(request, "accounts/user_confirm_second_factor.html", context)
    if managing.reset_second_factor(actor=user_of(request), user=person):
        messages.success(request, f"{person.email} logs in by the password alone now.")
    else:
        messages.info(request, f"{person.email} has no second factor.")
    return redirect("accounts:user", user_id)


@needs(Act.CONFIGURE)
@confirm_password
@require_POST
def user_reactivate(request: HttpRequest, user_id: int) -> HttpResponse:
    person = get_object_or_404(User, pk=user_id)
    is_changed = managing.reactivate(actor=user_of(request), user=person)
    tell_saved(request, f"{person.email} can log in again.", is_changed=is_changed)
    return redirect("accounts:user", user_id)


@needs(Act.SEE)
@require_safe
def audit_trail(request: HttpRequest) -> HttpResponse:
    form, place = AuditFilter(request.GET), OlderThan(request.GET)
    is_valid = form.is_valid() and place.is_valid()
    entries = list(_reached(form, place)[: PAGE + 1]) if is_valid else []
    older, looked_at = entries[PAGE - 1].pk if len(entries) > PAGE else None, None
    if is_valid and older is None and (further := _beyond_reach(form, place)):
        older, looked_at = further, LOOKED_AT
    context = {"form": form, "entries": entries[:PAGE], "older": older, "looked_at": looked_at}
    status = 200 if is_valid else 422
    return render_page(
        request, "accounts/audit_list.html", context, fragment="entries", status=status
    )


def _reached(form: AuditFilter, place: OlderThan) -> QuerySet[AuditEntry]:
    """Return the entries of one page: what no index finds is looked for among the next LOOKED_AT of its days."""
    found = place.cut(form.entries())
    return found.filter(pk__gte=_bottom(form, place)) if form.reads_all else found


def _bottom(form: AuditFilter, place: OlderThan) -> int:
    newest = form.of_its_days().order_by("-at").values_list("pk", flat=True).first() or 0
    before = place.cleaned_data["before"]
    return (min(newest, before - 1) if before else newest) - LOOKED_AT + 1


def _beyond_reach(form: AuditFilter, place: OlderThan) -> int | None:
    """Return the place to look further from, where the days go on behind what was looked at."""
    if not form.reads_all:
        return None
    behind = AuditEntry.objects.filter(pk__lt=_bottom(form, place)).order_by("-pk").first()
    if behind is None or (form.begin and behind.at < form.begin):
        return None
    return behind.pk + 1


@needs(Act.SEE)
@require_safe
def audit_csv(request: HttpRequest) -> HttpResponseBase:
    form = AuditFilter(request.GET)
    if not form.is_valid():
        return wrong_filter()
    header = ["at", "who", "act", "kind", "id", "thing", "before", "after", "reason"]
    lines = (
        (
            one.at.isoformat(), one.actor_label, one.verb, one.subject_type, one.subject_id, one.subject_label,
            _json(one.before), _json(one.after), one.reason,
        )
        for one in by_steps(form.entries(), newest_first=True)
    )  # fmt: skip
    return stream_csv("audit-trail.csv", header, lines)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


def _to_link(request: HttpRequest, invitation: managing.Invitation) -> HttpResponse:
    request.session[LINK_IN_SESSION] = (invitation.user.pk, invitation.link)
    return redirect("accounts:user", invitation.user.pk)


def _form(
    request: HttpRequest, template: str, form: Any, told: Meanwhile | None = None
) -> HttpResponse:
    status = 422 if told or (form.is_bound and not form.is_valid()) else 200
    return render_page(request, template, {"form": form, "meanwhile": told}, status=status)
