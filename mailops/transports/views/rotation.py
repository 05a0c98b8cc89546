"""The pages of a rotation: where it stands, moving over, rolling back."""

from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailops.accounts.auditing import audit
from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.lib.htmx import render_page
from mailops.transports.diagnosis import run_test
from mailops.transports.forms.credentials import MoveOverForm
from mailops.transports.models import Credential, Transport
from mailops.transports.rotation import NothingToGoBackTo, activate_credential, roll_back

_TEST_HOLDS = timedelta(minutes=10)


@needs(Act.SEE)
def rotation(request: HttpRequest, transport_id: int) -> HttpResponse:
    """Show the steps of a rotation, and which of them is next."""
    transport = get_object_or_404(Transport, pk=transport_id)
    active = transport.active_credential
    before = active.replaces if active else None
    standing_by = transport.credentials.filter(is_active=False).newest_first()
    context = {
        "transport": transport,
        "active": active,
        "before": before,
        "next": (standing_by.exclude(pk=before.pk) if before else standing_by).first(),
    }
    return render_page(request, "transports/rotation.html", context)


@needs(Act.CONFIGURE)
@confirm_password
def credential_activate(request: HttpRequest, credential_id: int) -> HttpResponse:
    """Move sending over to a credential that works; to one that fails its test only if told so."""
    credential = get_object_or_404(Credential.objects.select_related("transport"), pk=credential_id)
    transport, user = credential.transport, user_of(request)
    form = MoveOverForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["without_test"] or _works(credential, by=user.email):
            old = activate_credential(credential=credential, actor=user)
            told = f" One press goes back to {old.label}." if old else ""
            messages.success(
                request, f"New sessions of {transport} log in with {credential.label}.{told}"
            )
            return redirect("transports:rotation", transport.pk)
        credential.refresh_from_db()
        audit(
            actor=user,
            verb="credential.test",
            subject=credential,
            after={"is_ok": False, "cause": credential.last_test.get("cause", "")},
        )
        status = 422
    context = {
        "form": form,
        "credential": credential,
        "transport": transport,
        "active": transport.active_credential,
    }
    return render_page(request, "transports/credential_activate.html", context, status=status)


@needs(Act.CONFIGURE)
@confirm_password
@require_POST
def credential_roll_back(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    try:
        before = roll_back(transport=transport, actor=user_of(request))
    except NothingToGoBackTo:
        messages.error(request, f"{transport} has no credential to go back to.")
    else:
        messages.success(request, f"New sessions of {transport} log in with {before.label} again.")
    return redirect("transports:rotation", transport_id)


def _works(credential: Credential, *, by: str) -> bool:
    """Tell whether a credential logs in; a test of a moment ago counts."""
    tested_at = credential.last_tested_at
    if tested_at and timezone.now() - tested_at < _TEST_HOLDS and credential.last_test.get("is_ok"):
        return True
    return run_test(credential.transport, credential, by=by).is_ok
