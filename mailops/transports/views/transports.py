"""The pages of transports: list, detail, form, test, pause."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    first_come,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.permissions import (
    Act,
    confirm_password,
    confirm_password_keep_nothing,
    needs,
    user_of,
)
from mailops.lib.confirm import ConfirmForm
from mailops.lib.csv_export import stream_csv, wrong_filter
from mailops.lib.htmx import polled_status, render_page, wants_fragment
from mailops.transports.concerns import Concern, pressing
from mailops.transports.configuring import (
    StillNeeded,
    add_transport,
    change_transport,
    delete_transport,
)
from mailops.transports.diagnosis import run_test
from mailops.transports.forms.transports import (
    ConnectionTestForm,
    PollForm,
    TransportFilterForm,
    TransportForm,
    form_of,
)
from mailops.transports.kinds.apis import APIS, own_facts
from mailops.transports.models import Credential, Stream, Transport
from mailops.transports.models.transport import TransportQuerySet
from mailops.transports.providers import PRESETS, advise
from mailops.transports.views.pausing import pause, resume

PAGE = 50
MOST_POLLS = 60  # of a test's steps, twice a second


def _filtered(form: TransportFilterForm) -> TransportQuerySet:
    transports = Transport.objects.broken_first()
    return form.apply(transports) if form.is_valid() else transports


@needs(Act.SEE)
def transport_list(request: HttpRequest) -> HttpResponse:
    form = TransportFilterForm(request.GET)
    credentials = Prefetch("credentials", Credential.objects.newest_first())
    transports = _filtered(form).prefetch_related("routes__stream", credentials)
    page = Paginator(transports, PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    context = {
        "filter_form": form,
        "page": page,
        "rows": [_row(one, now) for one in page],
        "any": Transport.objects.exists(),
    }
    status = 200 if form.is_valid() else 422
    return render_page(
        request, "transports/transport_list.html", context, fragment="results", status=status
    )


def _row(
    transport: Transport, now: datetime
) -> tuple[Transport, Credential | None, list[tuple[Credential, Concern]]]:
    """Return a transport whose credentials were fetched, the one in use, and what presses."""
    credentials = transport.credentials.all()
    active = next((one for one in credentials if one.is_active), None)
    return transport, active, pressing(credentials, now)


@needs(Act.SEE)
def transport_export(request: HttpRequest) -> HttpResponseBase:
    form = TransportFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    header = [
        "transport",
        "kind",
        "environment",
        "host",
        "port",
        "tls",
        "state",
        "breaker",
        "tested_at",
    ]
    rows = (
        (
            *(t.name, t.kind, t.environment, t.host, t.port, t.security, t.state, t.breaker),
            t.last_tested_at or "",
        )
        for t in _filtered(form).iterator()
    )
    return stream_csv("transports.csv", header, rows)


@needs(Act.SEE)
def transport_detail(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    return render_page(request, "transports/transport_detail.html", _detail(transport))


def _detail(transport: Transport) -> dict[str, Any]:
    credentials = list(transport.credentials.newest_first())
    return {
        "transport": transport,
        "credentials": credentials,
        "pressing": pressing(credentials, timezone.now()),
        "streams": Stream.objects.using_transport(transport)
        .select_related("domain")
        .order_by("name"),
        "advice": advise(transport),
        "preset": PRESETS.get(transport.options.get("preset", "")),
        "api": APIS.get(transport.kind),
        "own_facts": own_facts(transport.kind, transport.options),
        "test": transport.last_test,
        "tested_at": transport.last_tested_at,
        "test_form": ConnectionTestForm(),
    }


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def transport_add(request: HttpRequest) -> HttpResponse:
    preset = PRESETS.get(request.GET.get("preset", ""))
    if preset is None:
        smtp = [preset for preset in PRESETS.values() if preset.kind == Transport.Kind.SMTP]
        apis = [preset for preset in PRESETS.values() if preset.kind != Transport.Kind.SMTP]
        groups = [("By SMTP", smtp), ("By a provider's API", apis)]
        return render_page(request, "transports/transport_choose.html", {"groups": groups})
    new = Transport(
        kind=preset.kind,
        host=preset.host,
        port=preset.port,
        security=preset.security,
        rate_per_minute=preset.rate_per_minute,
        max_sessions=preset.max_sessions,
        daily_quota=preset.daily_quota,
    )
    form = form_of(preset.kind)(
        request.POST or None, instance=new, preset=preset, initial={"name": preset.suggested_name}
    )
    if request.method == "POST" and form.is_valid():
        with first_come(form):
            add_transport(transport=form.instance, actor=user_of(request))
        if not form.errors:
            messages.success(request, f"{form.instance} was added. {_next_step(form.instance)}")
            return redirect("transports:detail", form.instance.pk)
    status = 422 if form.is_bound else 200
    context = {"form": form, "preset": preset}
    return render_page(request, "transports/transport_form.html", context, status=status)


def _next_step(transport: Transport) -> str:
    if transport.is_trusted_relay:
        return "It is a trusted relay: test it, and give it a credential only if it asks for one."
    return "Now give it something to log in with."


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def transport_edit(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    form = _form_of(transport, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with first_come(form):
                is_changed = change_transport(
                    transport=form.instance,
                    secret=form.new_secret,
                    reference=form.new_reference,
                    actor=user_of(request),
                    seen=form.seen,
                )
        except ChangedMeanwhile:
            return _conflict(request, get_object_or_404(Transport, pk=transport_id))
        if not form.errors:
            return _changed(request, form, is_changed=is_changed)
    return _edit(request, form, None)


def _form_of(transport: Transport, typed: Mapping[str, Any] | None) -> TransportForm:
    preset = PRESETS.get(transport.options.get("preset", ""))
    return form_of(transport.kind)(typed, instance=transport, preset=preset)


def _conflict(request: HttpRequest, transport: Transport) -> HttpResponse:
    """Show the transport as it is by now beside what was typed, but for secrets; whoever saves again has seen it."""
    again = _form_of(transport, typed_by_one_who_saw(transport.mark, request.POST))
    entry = last_done("transport.change", transport)
    return _edit(request, again, meanwhile(again, entry, untold=("secret", "reference")))


def _edit(request: HttpRequest, form: TransportForm, told: Meanwhile | None) -> HttpResponse:
    status = 422 if form.is_bound else 200
    name = Transport.objects.values_list("name", flat=True).get(pk=form.instance.pk)
    context = {"form": form, "preset": form.preset, "transport": form.instance, "name": name}
    context |= {"meanwhile": told}
    return render_page(request, "transports/transport_form.html", context, status=status)


def _changed(request: HttpRequest, form: TransportForm, *, is_changed: bool) -> HttpResponse:
    """Go on from a transport that was saved: to its sign-in, where it needs one anew."""
    if grant := form.grant_to_renew:
        messages.warning(
            request,
            f"{form.instance} was saved, and has no permission to send at its new endpoint. Give the client secret anew, if "
            "the app has one, and sign in again.",
        )
        return redirect("transports:oauth-edit", grant.pk)
    said = f"{form.instance} was saved. Test it before mail depends on it."
    tell_saved(request, said, is_changed=is_changed)
    return redirect("transports:detail", form.instance.pk)


@needs(Act.CONFIGURE)
@confirm_password
def transport_delete(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    streams = Stream.objects.using_transport(transport).order_by("name")
    form = ConfirmForm(request.POST or None, name=transport.name)
    if request.method == "POST" and form.is_valid() and not streams:
        try:
            delete_transport(transport=transport, actor=user_of(request))
        except StillNeeded as needed:
            messages.error(request, str(needed))
            return redirect("transports:detail", transport_id)
        messages.success(request, f"{transport.name} was deleted.")
        return redirect("transports:list")
    context = {"form": form, "transport": transport, "streams": streams}
    status = 422 if request.method == "POST" else 200
    return render_page(request, "transports/transport_confirm_delete.html", context, status=status)


@needs(Act.OPERATE)
@require_POST
def transport_test(request: HttpRequest, transport_id: int) -> HttpResponse:
    """Run the connection test and show what it found."""
    transport = get_object_or_404(Transport, pk=transport_id)
    form = ConnectionTestForm(request.POST)
    is_valid = form.is_valid()
    if is_valid:
        user = user_of(request)
        found = run_test(transport, recipient=form.cleaned_data["recipient"], by=user.email)
        after = {"is_ok": found.is_ok, "cause": found.cause}
        audit(actor=user, verb="transport.test", subject=transport, after=after)
        if not wants_fragment(request):
            return redirect("transports:detail", transport_id)
    context = _detail(transport) | {"test_form": form}
    return render_page(
        request,
        "transports/transport_detail.html",
        context,
        fragment="connection-test",
        status=200 if is_valid else 422,
    )


@needs(Act.SEE)
def transport_test_steps(request: HttpRequest, transport_id: int) -> HttpResponse:
    """Show how far the connection test that is under way has come, to a page that asks again and again."""
    transport = get_object_or_404(Transport, pk=transport_id)
    if not wants_fragment(request):
        return redirect("transports:detail", transport_id)
    form = PollForm(request.GET)
    asked = form.cleaned_data["n"] + 1 if form.is_valid() else MOST_POLLS
    context = _detail(transport) | {"asked": asked, "live": transport.live_test}
    return render_page(
        request,
        "transports/transport_detail.html",
        context,
        fragment="test-live",
        # the test itself puts its result in place of all this
        status=polled_status(request, goes_on=asked < MOST_POLLS),
    )


@needs(Act.OPERATE)
def transport_pause(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    return pause(
        request,
        transport,
        template="transports/transport_pause.html",
        back="transports:detail",
        transport=transport,
        streams=Stream.objects.using_transport(transport).order_by("name"),
    )


@needs(Act.OPERATE)
@require_POST
def transport_resume(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    return resume(request, transport, back="transports:detail")
