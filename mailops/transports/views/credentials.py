"""The pages of credentials: add, change, test, make active, delete; a secret is never shown."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.auditing import audit
from mailops.accounts.permissions import (
    Act,
    confirm_password,
    confirm_password_keep_nothing,
    needs,
    user_of,
)
from mailops.lib.htmx import render_page
from mailops.transports.credentials import (
    StillActive,
    activate_credential,
    add_credential,
    change_credential,
    delete_credential,
)
from mailops.transports.diagnosis import run_test
from mailops.transports.forms.credentials import CredentialForm
from mailops.transports.models import Credential, Transport
from mailops.transports.providers import PRESETS


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
        return redirect("transports:detail", transport_id)
    context = {"form": form, "transport": transport, "preset": preset}
    status = 422 if form.is_bound else 200
    return render_page(request, "transports/credential_form.html", context, status=status)


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def credential_edit(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _credential(credential_id)
    transport, label = credential.transport, credential.label
    form = CredentialForm(request.POST or None, instance=credential)
    if request.method == "POST" and form.is_valid():
        change_credential(
            credential=_credential(credential_id), actor=user_of(request), **form.given
        )
        messages.success(request, f"{form.cleaned_data['label']} was saved.")
        return redirect("transports:detail", transport.pk)
    context = {"form": form, "transport": transport, "credential": credential, "label": label}
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
def credential_activate(request: HttpRequest, credential_id: int) -> HttpResponse:
    credential = _credential(credential_id)
    transport = credential.transport
    if request.method == "POST":
        old = activate_credential(credential=credential, actor=user_of(request))
        told = f" To roll back, make {old.label} active again." if old else ""
        messages.success(
            request, f"New sessions of {transport} log in with {credential.label}.{told}"
        )
        return redirect("transports:detail", transport.pk)
    context = {
        "credential": credential,
        "transport": transport,
        "active": transport.active_credential,
    }
    return render_page(request, "transports/credential_activate.html", context)


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
    return get_object_or_404(Credential.objects.select_related("transport"), pk=credential_id)
