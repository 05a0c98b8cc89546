"""Pages of one contact and its memberships."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.meanwhile import ChangedMeanwhile, Meanwhile, last_done, meanwhile, tell_saved
from mailops.accounts.permissions import Act, needs, user_of
from mailops.audiences.curating import (
    add_member,
    change_contact,
    remove_member,
)
from mailops.audiences.forms import ContactForm, MemberForm
from mailops.audiences.models import Audience, Contact, Membership
from mailops.audiences.tasks import count_soon
from mailops.lib.htmx import render_page
from mailops.lib.time_zones import zone
from mailops.suppressions.models import Suppression


@needs(Act.SEE)
def contact_detail(request: HttpRequest, contact_id: int) -> HttpResponse:
    contact = get_object_or_404(Contact, pk=contact_id)
    context = {
        "contact": contact,
        "zone_if_unknown": settings.MAILOPS_TIME_ZONE,
        "local_time": f"{timezone.now().astimezone(zone(contact.time_zone)):%H:%M}",
        "memberships": contact.memberships.kept()
        .select_related("audience")
        .order_by("audience__name"),
        "suppressions": Suppression.objects.active()
        .filter(address_key=contact.address_key)
        .select_related("stream"),
    }
    return render_page(request, "audiences/contact_detail.html", context)


@needs(Act.SEND)
def contact_edit(request: HttpRequest, contact_id: int) -> HttpResponse:
    contact = get_object_or_404(Contact, pk=contact_id)
    form = ContactForm.of(contact, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            is_changed = change_contact(
                contact=contact, **form.cleaned_data, actor=user_of(request)
            )
        except ChangedMeanwhile:
            return _conflict(request, contact)
        for membership in contact.memberships.all():
            count_soon(membership.audience_id)
        tell_saved(request, "Saved.", is_changed=is_changed)
        return redirect("audiences:contact", contact.pk)
    return _contact_form(request, contact, form, status=422 if form.errors else 200)


def _conflict(request: HttpRequest, contact: Contact) -> HttpResponse:
    """Show what is known by now beside what was typed; whoever saves again has seen it."""
    contact.refresh_from_db()
    again = ContactForm.of(contact, {**request.POST.dict(), "revision": contact.revision})
    entry = last_done("contact.change", contact)
    if entry and entry.at < contact.updated_at:
        entry = None  # an import changed it since
    return _contact_form(request, contact, again, status=422, told=meanwhile(again, entry))


def _contact_form(
    request: HttpRequest,
    contact: Contact,
    form: ContactForm,
    *,
    status: int,
    told: Meanwhile | None = None,
) -> HttpResponse:
    back = reverse("audiences:contact", args=[contact.pk])
    context = {"contact": contact, "form": form, "meanwhile": told, "back": back}
    return render_page(request, "audiences/contact_form.html", context, status=status)


@needs(Act.SEND)
def member_add(request: HttpRequest, audience_id: int) -> HttpResponse:
    audience = get_object_or_404(Audience, pk=audience_id)
    form = MemberForm(request.POST or None)
    if form.is_valid():
        membership, is_new = add_member(
            audience=audience, **form.cleaned_data, actor=user_of(request)
        )
        count_soon(audience.pk)
        if is_new:
            messages.success(request, f"{membership.contact} is in “{audience}”.")
        else:
            messages.warning(request, _not_kept(membership, form.cleaned_data["consent"]))
        return redirect("audiences:contact", membership.contact_id)
    return render_page(
        request,
        "audiences/member_form.html",
        {
            "audience": audience,
            "form": form,
            "back": reverse("audiences:detail", args=[audience.pk]),
        },
        status=422 if form.errors else 200,
    )


def _not_kept(membership: Membership, consent: str) -> str:
    """Say that who was a member already keeps the evidence of then, and what was typed instead."""
    said = f"{membership.contact} was in “{membership.audience}” already"
    if consent == membership.consent:
        return f"{said}, with the same consent."
    kept = f"“{membership.consent}”" if membership.consent else "untold"
    return (
        f"{said}. Their consent stays as it was, {kept}, and “{consent}” was not kept. "
        "If that is to stand there, remove them from the audience, then add them again."
    )


@needs(Act.SEND)
def member_remove(request: HttpRequest, membership_id: int) -> HttpResponse:
    membership = get_object_or_404(
        Membership.objects.kept().select_related("audience", "contact"), pk=membership_id
    )
    if request.method == "POST":
        remove_member(membership=membership, actor=user_of(request))
        count_soon(membership.audience_id)
        messages.success(request, f"{membership.contact} is no longer in “{membership.audience}”.")
        return redirect("audiences:detail", membership.audience_id)
    return render_page(request, "audiences/member_confirm_remove.html", {"membership": membership})
