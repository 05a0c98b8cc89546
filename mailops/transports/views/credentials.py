"""The pages of credentials: list, detail, add, change, test, delete; a secret is never shown."""

from collections.abc import Iterator

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.models import AuditEntry
from mailops.accounts.permissions import (
    Act,
    confirm_password,
    confirm_password_keep_nothing,
    needs,
    user_of,
)
from mailops.lib.csv_export import stream_csv, wrong_filter
from mailops.lib.htmx import render_page
from mailops.transports.concerns import concerns_of, likely_pressing
from mailops.transports.credentials import (
    StillActive,
    add_credential,
    change_credential,
    delete_credential,
)
from mailops.transports.diagnosis import run_test
from mailops.transports.forms.credentials import CredentialFilterForm, CredentialForm
from mailops.transports.models import Credential, Transport
from mailops.transports.models.credential import CredentialQuerySet
from mailops.transports.providers import PRESETS

PAGE = 50
_HEADER = [
    "credential",
    "transport",
    "user_name",
    "is_active",
    "kept",
    "set_at",
    "used_at",
    "tested_at",
    "works",
    "expires_on",
    "concerns",
]


def _filtered(form: CredentialFilterForm) -> CredentialQuerySet:
    credentials = Credential.objects.by_urgency(likely_pressing(timezone.now()))
    return form.apply(credentials) if form.is_valid() else credentials


@needs(Act.SEE)
def credential_list(request: HttpRequest) -> HttpResponse:
    form = CredentialFilterForm(request.GET)
    page = Paginator(_filtered(form), PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    context = {
        "filter_form": form,
        "page": page,
        "rows": [(credential, concerns_of(credential, now)) for credential in page],
        "any": Credential.objects.exists(),
    }
    status = 200 if form.is_valid() else 422
    return render_page(
        request, "transports/credential_list.html", context, fragment="results", status=status
    )


@needs(Act.SEE)
def credential_export(request: HttpRequest) -> HttpResponseBase:
    form = CredentialFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    return stream_csv("credentials.csv", _HEADER, _rows(_filtered(form)))


def _rows(credentials: CredentialQuerySet) -> Iterator[list[object]]:
    now = timezone.now()
    for one in credentials.iterator():
        yield [
            one.label,
            one.transport.name,
            one.username,
            one.is_active,
            "reference" if one.reference else "encrypted",
            one.secret_set_at or "",
            one.last_used_at or "",
            one.last_tested_at or "",
            one.last_test.get("is_ok", "") if one.was_tested else "",
            one.expires_on or "",
            "; ".join(concern.title for concern in concerns_of(one, now)),
        ]


@needs(Act.SEE)
def credential_detail(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _credential(credential_id)
    trail = AuditEntry.objects.about(Credential, [credential.pk])
    context = {
        "credential": credential,
        "transport": credential.transport,
        "concerns": concerns_of(credential, timezone.now()),
        "trail": trail.order_by("-at", "-id")[:20],
    }
    return render_page(request, "transports/credential_detail.html", context)


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def credential_add(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    preset = PRESETS.get(transport.options.get("preset", ""))
    form = CredentialForm(request.POST or None, preset=preset)
    if request.method == "POST" and form.is_valid():
        added = add_credential(transport=transport, actor=user_of(request), **form.given)
        told = (
            "It is active: test the connection."
            if added.is_active
            else "It stands by: test it, then make it active."
        )
        messages.success(request, f"{added.label} was added. {told}")
        return redirect(
            "transports:rotation" if not added.is_active else "transports:detail", transport_id
        )
    context = {"form": form, "transport": transport, "preset": preset}
    status = 422 if form.is_bound else 200
    return render_page(request, "transports/credential_form.html", context, status=status)


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def credential_edit(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _credential(credential_id)
    if credential.oauth:
        return redirect("transports:oauth-edit", credential.oauth.pk)
    label = credential.label
    form = CredentialForm(request.POST or None, instance=credential)
    if request.method == "POST" and form.is_valid():
        seen = form.cleaned_data["seen"]
        try:
            is_changed = change_credential(
                credential=_credential(credential_id),
                actor=user_of(request),
                seen=seen,
                **form.given,
            )
        except ChangedMeanwhile:
            return _conflict(request, _credential(credential_id))
        tell_saved(request, f"{form.cleaned_data['label']} was saved.", is_changed=is_changed)
        return redirect("transports:credential", credential_id)
    return _edit(request, form, label, None)


def _conflict(request: HttpRequest, credential: Credential) -> HttpResponse:
    """Show the credential as it is by now beside what was typed, but for secrets; whoever saves again has seen it."""
    again = CredentialForm(typed_by_one_who_saw(credential.mark, request.POST), instance=credential)
    told = meanwhile(again, last_done("credential.change", credential), untold=("secret",))
    if "secret" in again.changed_data and credential.secret_set_at:
        at = timezone.localtime(credential.secret_set_at)
        told.facts.append((str(again["secret"].label), f"set {at:%-d %b %Y %H:%M}"))
    return _edit(request, again, credential.label, told)


def _edit(
    request: HttpRequest, form: CredentialForm, label: str, told: Meanwhile | None
) -> HttpResponse:
    credential = form.instance
    context = {"form": form, "transport": credential.transport, "credential": credential}
    context |= {"label": label, "meanwhile": told}
    status = 422 if form.is_bound else 200
    return render_page(request, "transports/credential_form.html", context, status=status)


@needs(Act.OPERATE)
@require_POST
def credential_test(request: HttpRequest, credential_id: int) -> HttpResponse:
    """Log in with a credential, active or not, and show what happened."""
    credential = _credential(credential_id)
    user = user_of(request)
    found = run_test(credential.transport, credential, by=user.email)
    after = {"is_ok": found.is_ok, "cause": found.cause}
    audit(actor=user, verb="credential.test", subject=credential, after=after)
    return redirect("transports:credential-tested", credential_id)


@needs(Act.SEE)
def credential_tested(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _credential(credential_id)
    context = {
        "credential": credential,
        "transport": credential.transport,
        "test": credential.last_test,
        "tested_at": credential.last_tested_at,
    }
    return render_page(request, "transports/credential_tested.html", context)


@needs(Act.CONFIGURE)
@confirm_password
def credential_delete(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _credential(credential_id)
    transport, label = credential.transport, credential.label
    if request.method == "POST":
        try:
            delete_credential(credential=credential, actor=user_of(request))
        except StillActive:
            messages.error(request, f"{label} is in use: make another one active first.")
        else:
            messages.success(request, f"{label} was deleted.")
        return redirect("transports:detail", transport.pk)
    context = {"credential": credential, "transport": transport}
    return render_page(request, "transports/credential_confirm_delete.html", context)


def _credential(credential_id: int) -> Credential:
    return get_object_or_404(
        Credential.objects.select_related("transport", "grant"), pk=credential_id
    )
