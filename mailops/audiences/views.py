"""Pages of audiences."""

from collections import defaultdict
from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any

from django.contrib import messages
from django.db.models import Count, F, Func, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.text import slugify

from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.permissions import Act, needs, user_of
from mailops.audiences.curating import (
    NameTaken,
    add_audience,
    change_audience,
)
from mailops.audiences.deleting import StillNeeded, delete_audience, why_needed
from mailops.audiences.forms import AudienceForm, MemberFilterForm, PlaceForm
from mailops.audiences.models import Audience, Import, Membership
from mailops.audiences.tasks import delete_soon
from mailops.lib.confirm import ConfirmForm
from mailops.lib.csv_export import by_steps, stream_csv, wrong_filter
from mailops.lib.htmx import render_page
from mailops.protocol.address import search_forms
from mailops.suppressions.models import Suppression

PAGE = 50
ATTRIBUTES = 12  # shown at once; a file may bring 490
IMPORTS = 5


@needs(Act.SEE)
def audience_list(request: HttpRequest) -> HttpResponse:
    last_import = Import.objects.filter(audience=OuterRef("pk")).order_by("-id")
    # a count for each: joined and grouped, a million memberships take four times as long
    counted = Membership.objects.filter(audience=OuterRef("pk")).values("audience")
    audiences = Audience.objects.annotate(
        members=Coalesce(Subquery(counted.values(n=Count("pk"))), 0),
        last_import_at=Subquery(last_import.values("created_at")[:1]),
        last_import_state=Subquery(last_import.values("state")[:1]),
        last_import_id=Subquery(last_import.values("pk")[:1]),
    ).order_by("name")
    return render_page(request, "audiences/audience_list.html", {"audiences": audiences})


@needs(Act.SEND)
def audience_add(request: HttpRequest) -> HttpResponse:
    form = AudienceForm(request.POST or None)
    if form.is_valid():
        try:
            audience = add_audience(**form.cleaned_data, actor=user_of(request))
        except NameTaken as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, f"“{audience}” is there, still empty.")
            return redirect("audiences:import", audience.pk)
    return _audience_form(request, form, None)


@needs(Act.SEND)
def audience_edit(request: HttpRequest, audience_id: int) -> HttpResponse:
    audience = get_object_or_404(Audience, pk=audience_id)
    form = AudienceForm(request.POST or None, instance=audience)
    if form.is_valid():
        try:
            is_changed = change_audience(
                audience=audience, **form.cleaned_data, actor=user_of(request)
            )
        except ChangedMeanwhile:
            return _conflict(request, audience_id)
        except NameTaken as error:
            form.add_error("name", str(error))
        else:
            tell_saved(request, "Saved.", is_changed=is_changed)
            return redirect("audiences:detail", audience.pk)
    return _audience_form(request, form, Audience.objects.get(pk=audience_id))


def _conflict(request: HttpRequest, audience_id: int) -> HttpResponse:
    """Show the audience as it is by now beside what was typed; whoever saves again has seen it."""
    known, edited = (get_object_or_404(Audience, pk=audience_id) for _ in range(2))
    again = AudienceForm(typed_by_one_who_saw(known.mark, request.POST), instance=edited)
    told = meanwhile(again, last_done("audience.change", known))
    return _audience_form(request, again, known, told)


def _audience_form(
    request: HttpRequest,
    form: AudienceForm,
    audience: Audience | None,
    told: Meanwhile | None = None,
) -> HttpResponse:
    back = (
        reverse("audiences:detail", args=[audience.pk]) if audience else reverse("audiences:list")
    )
    context = {"form": form, "audience": audience, "back": back, "meanwhile": told}
    status = 422 if form.errors or told else 200
    return render_page(request, "audiences/audience_form.html", context, status=status)


@needs(Act.SEE)
def audience_detail(request: HttpRequest, audience_id: int) -> HttpResponse:
    audience = get_object_or_404(Audience, pk=audience_id)
    form, place = MemberFilterForm(request.GET), PlaceForm(request.GET)
    if not (form.is_valid() and place.is_valid()):
        return _detail(request, audience, form, [], status=422)
    members = _members(audience, form.cleaned_data["search"])
    after = place.cleaned_data["after"] or 0
    page = list(members.filter(pk__gt=after).select_related("contact").order_by("pk")[: PAGE + 1])
    return _detail(request, audience, form, page, is_later_page=bool(after))


def _detail(
    request: HttpRequest,
    audience: Audience,
    form: MemberFilterForm,
    page: list[Membership],
    *,
    is_later_page: bool = False,
    status: int = 200,
) -> HttpResponse:
    shown = page[:PAGE]
    imports = list(audience.imports.order_by("-id")[: IMPORTS + 1])
    attributes = sorted(audience.attributes.items(), key=lambda one: (-one[1]["members"], one[0]))
    context: dict[str, Any] = {
        "audience": audience,
        "filter_form": form,
        "members": _with_suppressions(shown),
        "is_filtered": bool(form.cleaned_data.get("search")),
        "last": shown[-1].pk if len(page) > PAGE else None,
        "is_later_page": is_later_page,
        "member_count": audience.memberships.count(),
        "attributes": attributes[:ATTRIBUTES],
        "more_attributes": attributes[ATTRIBUTES:],
        "imports": imports[:IMPORTS],
        "has_more_imports": len(imports) > IMPORTS,
        "csv_url": reverse("audiences:export", args=[audience.pk]),
    }
    return render_page(
        request, "audiences/audience_detail.html", context, fragment="members", status=status
    )


def _members(audience: Audience, search: str) -> Any:
    members = audience.memberships.all()
    forms = (Q(contact__address_key__contains=form) for form in search_forms(search))
    return members.filter(reduce(or_, forms)) if search else members


def _with_suppressions(page: list[Membership]) -> list[tuple[Membership, list[Suppression]]]:
    """Pair each membership with what forbids mail to it, in all streams first."""
    keys = [membership.contact.address_key for membership in page]
    found = Suppression.objects.active().filter(address_key__in=keys).select_related("stream")
    of_key: dict[str, list[Suppression]] = defaultdict(list)
    for entry in found.order_by(F("stream__name").asc(nulls_first=True)):
        of_key[entry.address_key].append(entry)
    return [(each, of_key[each.contact.address_key]) for each in page]


@needs(Act.SEE)
def audience_export(request: HttpRequest, audience_id: int) -> HttpResponseBase:
    audience = get_object_or_404(Audience, pk=audience_id)
    form = MemberFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    members = _members(audience, form.cleaned_data["search"])
    names = _attribute_names(members)

    def rows() -> Iterator[list[Any]]:
        for each in by_steps(members.select_related("contact")):
            values = each.contact.attributes
            yield [
                each.contact.address,
                *(values.get(name, "") for name in names),
                each.contact.time_zone,
                each.consent,
                each.added_at.isoformat(timespec="seconds"),
            ]

    return stream_csv(
        f"{slugify(audience.name) or 'audience'}.csv",
        ["address", *names, "time_zone", "consent", "added_at"],
        rows(),
    )


def _attribute_names(members: Any) -> list[str]:
    """Return the names of all attributes that any of `members` has, whatever was counted of the audience."""
    name = Func("contact__attributes", function="jsonb_object_keys", set_returning=True)
    return sorted(members.values_list(name, flat=True).distinct())


@needs(Act.SEND)
def audience_delete(request: HttpRequest, audience_id: int) -> HttpResponse:
    audience = get_object_or_404(Audience, pk=audience_id)
    form = ConfirmForm(request.POST or None, name=audience.name)
    if form.is_valid():
        try:
            delete_audience(audience=audience, actor=user_of(request))
        except StillNeeded as error:
            messages.error(request, str(error))
            return redirect("audiences:detail", audience.pk)
        delete_soon(audience.pk)
        messages.success(request, f"“{audience}” is deleted.")
        return redirect("audiences:list")
    runs = audience.imports.all()
    imports = runs.count()
    members = audience.memberships.count()
    effects = [
        f"{members:,} membership{' is' if members == 1 else 's are'} deleted, with the evidence of their consent.",
        f"{imports:,} import{'' if imports == 1 else 's'} and the account of every row go with it"
        + (", and one is still running." if runs.running().exists() else "."),
        "The contacts stay, with their attributes, messages and suppressions.",
    ]
    needed = why_needed(audience)
    context = {"audience": audience, "form": form, "effects": effects, "needed": needed}
    return render_page(
        request,
        "audiences/audience_confirm_delete.html",
        context,
        status=422 if form.errors else 200,
    )
