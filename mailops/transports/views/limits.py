"""The pages of what mailbox providers are sent at most, and of warm-ups."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect

from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    first_come,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.permissions import Act, needs, user_of
from mailops.lib.csv_export import stream_csv, wrong_filter
from mailops.lib.htmx import render_page
from mailops.transports.forms.limits import ProviderFilterForm, ProviderLimitForm, WarmUpForm
from mailops.transports.limiting import (
    StillWarming,
    delete_provider_limit,
    end_warm_up,
    save_provider_limit,
    save_warm_up,
)
from mailops.transports.models import PROVIDER_DEFAULT, ProviderLimit, Transport, WarmUp
from mailops.transports.models.limits import ProviderLimitQuerySet

PAGE = 50


def _filtered(form: ProviderFilterForm) -> ProviderLimitQuerySet:
    limits = ProviderLimit.objects.by_name()
    return form.apply(limits) if form.is_valid() else limits


@needs(Act.SEE)
def provider_list(request: HttpRequest) -> HttpResponse:
    form = ProviderFilterForm(request.GET)
    page = Paginator(_filtered(form), PAGE).get_page(request.GET.get("page"))
    context = {
        "filter_form": form,
        "page": page,
        "any": ProviderLimit.objects.exists(),
        "default": PROVIDER_DEFAULT,
    }
    status = 200 if form.is_valid() else 422
    return render_page(
        request, "transports/provider_list.html", context, fragment="results", status=status
    )


@needs(Act.SEE)
def provider_export(request: HttpRequest) -> HttpResponseBase:
    form = ProviderFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    rows = (
        (
            str(limit),
            limit.max_sessions or "",
            limit.messages_per_session or "",
            limit.rate_per_minute or "",
            limit.note,
        )
        for limit in _filtered(form).iterator()
    )
    header = ["provider", "sessions", "messages_per_session", "rate_per_minute", "note"]
    return stream_csv("providers.csv", header, rows)


@needs(Act.CONFIGURE)
def provider_add(request: HttpRequest) -> HttpResponse:
    return _edit(request, ProviderLimit())


@needs(Act.CONFIGURE)
def provider_edit(request: HttpRequest, limit_id: int) -> HttpResponse:
    return _edit(request, get_object_or_404(ProviderLimit, pk=limit_id))


def _edit(request: HttpRequest, limit: ProviderLimit) -> HttpResponse:
    name = str(limit) if limit.pk else ""
    form = ProviderLimitForm(request.POST or None, instance=limit)
    if request.method == "POST" and form.is_valid():
        seen = form.cleaned_data.get("seen")
        try:
            with first_come(form):
                is_changed = save_provider_limit(
                    limit=form.instance, actor=user_of(request), seen=seen
                )
        except ChangedMeanwhile:
            return _conflict(request, get_object_or_404(ProviderLimit, pk=limit.pk))
        if not form.errors:
            said = f"The limits of {form.instance} were saved."
            tell_saved(request, said, is_changed=is_changed)
            return redirect("transports:providers")
    return _form(request, form, name)


def _conflict(request: HttpRequest, limit: ProviderLimit) -> HttpResponse:
    """Show the limits as they are by now beside what was typed; whoever saves again has seen them."""
    again = ProviderLimitForm(typed_by_one_who_saw(limit.mark, request.POST), instance=limit)
    told = meanwhile(again, last_done("providerlimit.change", limit))
    return _form(request, again, str(limit), told)


def _form(
    request: HttpRequest, form: ProviderLimitForm, name: str, told: Meanwhile | None = None
) -> HttpResponse:
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "name": name, "meanwhile": told}
    return render_page(request, "transports/provider_form.html", context, status=status)


@needs(Act.CONFIGURE)
def provider_delete(request: HttpRequest, limit_id: int) -> HttpResponse:
    limit = get_object_or_404(ProviderLimit, pk=limit_id)
    if request.method == "POST":
        try:
            delete_provider_limit(limit=limit, actor=user_of(request))
        except StillWarming as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{limit} has no limits of its own any more.")
        return redirect("transports:providers")
    context = {"limit": limit, "default": PROVIDER_DEFAULT}
    return render_page(request, "transports/provider_confirm_delete.html", context)


@needs(Act.CONFIGURE)
def warm_up_add(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    return _edit_warm_up(request, WarmUp(transport=transport))


@needs(Act.CONFIGURE)
def warm_up_edit(request: HttpRequest, warm_up_id: int) -> HttpResponse:
    return _edit_warm_up(request, _warm_up(warm_up_id))


def _warm_up(warm_up_id: int) -> WarmUp:
    return get_object_or_404(WarmUp.objects.select_related("transport"), pk=warm_up_id)


def _edit_warm_up(request: HttpRequest, warm_up: WarmUp) -> HttpResponse:
    name = str(warm_up) if warm_up.pk else ""
    form = WarmUpForm(request.POST or None, instance=warm_up)
    if request.method == "POST" and form.is_valid():
        seen = form.cleaned_data.get("seen")
        try:
            with first_come(form):
                is_changed = save_warm_up(warm_up=form.instance, actor=user_of(request), seen=seen)
        except ChangedMeanwhile:
            return _warm_up_conflict(request, _warm_up(warm_up.pk))
        if not form.errors:
            said = f"{form.instance.transport} is now being warmed up for {form.instance}."
            tell_saved(request, said, is_changed=is_changed)
            return redirect("transports:detail", form.instance.transport_id)
    return _warm_up_form(request, form, name)


def _warm_up_conflict(request: HttpRequest, warm_up: WarmUp) -> HttpResponse:
    """Show the ramp as it is by now beside what was typed; whoever saves again has seen it."""
    again = WarmUpForm(typed_by_one_who_saw(warm_up.mark, request.POST), instance=warm_up)
    name, provider = str(warm_up), warm_up.mailbox_provider
    verb = "transport.change_warm_up"
    entry = last_done(verb, warm_up.transport, after__mailbox_provider=provider)
    return _warm_up_form(request, again, name, meanwhile(again, entry))


def _warm_up_form(
    request: HttpRequest, form: WarmUpForm, name: str, told: Meanwhile | None = None
) -> HttpResponse:
    status = 422 if request.method == "POST" else 200
    transport = form.instance.transport
    context = {"form": form, "name": name, "transport": transport, "meanwhile": told}
    return render_page(request, "transports/warm_up_form.html", context, status=status)


@needs(Act.CONFIGURE)
def warm_up_end(request: HttpRequest, warm_up_id: int) -> HttpResponse:
    warm_up = _warm_up(warm_up_id)
    if request.method == "POST":
        end_warm_up(warm_up=warm_up, actor=user_of(request))
        messages.success(request, f"The warm-up for {warm_up} has ended.")
        return redirect("transports:detail", warm_up.transport_id)
    return render_page(request, "transports/warm_up_confirm_end.html", {"warm_up": warm_up})
