"""The pages of the weekly digest: one's own, its preview, and for administrators who gets it and which way it goes."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    last_done,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.models import User
from mailops.accounts.permissions import Act, may, needs, user_of
from mailops.content.forms import LookForm
from mailops.content.framing import framed
from mailops.content.rendering import Rendered, RenderError
from mailops.digests.forms import SwitchForm, WayForm, WeekForm
from mailops.digests.models import Digest, Subscription, Way
from mailops.digests.sending import JustSent, data_of, send_one_now
from mailops.digests.subscribing import switch as switch_digest
from mailops.digests.template import render
from mailops.digests.way import choose_way, chosen_way, mark_of_way
from mailops.digests.weeks import next_due
from mailops.lib.htmx import render_page
from mailops.lib.time_zones import zone as zone_of

LATEST = 8  # of one's own digests


@needs(Act.SEE)
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    latest = Digest.objects.filter(user=user).select_related("message").order_by("-id")
    context = {**_standing(user), "latest": latest[:LATEST]}
    if may(user, Act.CONFIGURE):
        context["readers"] = _readers()
    return render_page(request, "digests/mine.html", context)


@needs(Act.SEE)
@require_safe
def panel(request: HttpRequest) -> HttpResponse:
    """Show the switch on the profile page."""
    context = _standing(user_of(request))
    return render_page(request, "digests/panel.html", context, fragment="digest")


def _standing(user: User) -> dict[str, Any]:
    """Return whether the user gets it, when next, what became of the last, and what is in the way."""
    way = chosen_way()
    subscription = Subscription.objects.filter(user=user).first()
    last = Digest.objects.filter(user=user).select_related("message").order_by("-id").first()
    return {
        "subscription": subscription,
        "is_on": bool(subscription and subscription.is_on),
        "next_at": next_due(timezone.now(), zone_of(user.time_zone)),
        "zone": user.time_zone.replace("_", " "),
        "last": last,
        "way": way,
        "obstacle": way.obstacle if way else "",
        "can_configure": may(user, Act.CONFIGURE),
    }


def _readers() -> list[tuple[Subscription, Digest | None]]:
    """Return who gets it, each with the newest digest."""
    found = Subscription.objects.filter(is_on=True).select_related("user").order_by("user__email")
    newest = Digest.objects.order_by("user", "-id").distinct("user").select_related("message")
    last = {digest.user_id: digest for digest in newest}
    return [(one, last.get(one.user_id)) for one in found]


@needs(Act.SEE)
@require_POST
def switch(request: HttpRequest) -> HttpResponseBase:
    form = SwitchForm(request.POST)
    if not form.is_valid():
        toasts.error(request, "Press one of the buttons: nothing was changed.")
        return redirect("digests:mine")
    on = form.cleaned_data["on"]
    if switch_digest(user=user_of(request), on=on):
        done = (
            "You get the weekly digest from Monday on."
            if on
            else "You get no weekly digest any more."
        )
        toasts.success(request, done)
    return redirect(form.page)


@needs(Act.SEE)
@require_POST
def send_now(request: HttpRequest) -> HttpResponseBase:
    user = user_of(request)
    try:
        digest = send_one_now(user)
    except JustSent:
        toasts.info(request, "One went out less than a minute ago: look into your mailbox first.")
        return redirect("digests:mine")
    if digest.message:
        toasts.success(request, f"It is on its way to {user.email}.")
    else:
        toasts.error(request, f"It was not sent. {digest.result}")
    return redirect("digests:mine")


@needs(Act.SEE)
@require_safe
def preview(request: HttpRequest) -> HttpResponse:
    form, look = WeekForm(request.GET), LookForm(request.GET)
    context: dict[str, Any] = {"form": form}
    if not form.is_valid():
        return render_page(request, "digests/preview.html", context, status=422)
    mail, refusal = _mail(user_of(request), form)
    monday, scheme = form.monday, look.chosen["scheme"]
    asked = urlencode({"week": monday, "scheme": scheme})
    context |= {
        "mail": mail,
        "mail_url": f"{reverse('digests:preview-mail')}?{asked}",
        "refusal": refusal,
        "monday": monday,
        "scheme": scheme,
        "earlier": monday - timedelta(days=7),
        "later": None if form.is_last else monday + timedelta(days=7),
    }
    return render_page(request, "digests/preview.html", context)


@needs(Act.SEE)
@require_safe
def preview_mail(request: HttpRequest) -> HttpResponse:
    """Show the HTML part for a sandboxed frame."""
    form = WeekForm(request.GET)
    if not form.is_valid():
        return HttpResponse("There is no such week.\n", content_type="text/plain", status=422)
    mail, refusal = _mail(user_of(request), form)
    if mail is None:
        return HttpResponse(f"{refusal}\n", content_type="text/plain", status=422)
    return framed(mail.html, LookForm(request.GET))


def _mail(user: User, form: WeekForm) -> tuple[Rendered | None, str]:
    try:
        return render(data_of(form.monday, user.time_zone), email=user.email), ""
    except RenderError as error:
        return None, f"The template can't be filled in: {error}"


@needs(Act.CONFIGURE)
def way(request: HttpRequest) -> HttpResponseBase:
    """Choose by which stream, and from whom, it goes."""
    chosen = chosen_way()
    initial: dict[str, Any] = {"seen": mark_of_way(chosen)}
    if chosen:
        initial |= {"stream": chosen.stream, "identity": chosen.identity}
    form = WayForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            is_changed = choose_way(actor=user_of(request), **form.cleaned_data)
        except ChangedMeanwhile:
            return _way_conflict(request)
        said = "Chosen. Send one to yourself, so that you know that it arrives."
        tell_saved(request, said, is_changed=is_changed)
        return redirect("digests:mine")
    return _way_page(request, form, None)


def _way_conflict(request: HttpRequest) -> HttpResponseBase:
    """Show the way that is chosen by now beside what was typed; whoever saves again has seen it."""
    chosen, row = chosen_way(), Way.objects.first()
    again = WayForm(typed_by_one_who_saw(mark_of_way(chosen), request.POST))
    facts = [("Stream", str(chosen.stream)), ("From", str(chosen.identity))] if chosen else []
    told = Meanwhile(facts, last_done("digest.choose_way", row) if row else None)
    return _way_page(request, again, told)


def _way_page(request: HttpRequest, form: WayForm, told: Meanwhile | None) -> HttpResponseBase:
    context = {"form": form, "meanwhile": told}
    status = 422 if form.is_bound else 200
    return render_page(request, "digests/way_form.html", context, status=status)
