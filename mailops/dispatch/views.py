"""Where a transport stands: shown on its page by its address, and on a page of its own."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, needs, user_of
from mailops.campaigns.models import Campaign
from mailops.dispatch.crowding import end_crowding
from mailops.dispatch.holding import holds_of, holds_of_message
from mailops.dispatch.models import Crowding, Pressure, Worker
from mailops.dispatch.pressure import end_pressure
from mailops.dispatch.standing import sessions_of, standing_of
from mailops.lib.htmx import polled_status, render_page
from mailops.outbox.models import Message
from mailops.transports.models import Credential, Transport


@needs(Act.SEE)
def transport_panel(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    context = {
        "transport": transport,
        "standing": standing_of(transport),
        "sessions": sessions_of(transport),
    }
    return render_page(request, "dispatch/transport_standing.html", context, fragment="standing")


@needs(Act.SEE)
def credential_panel(request: HttpRequest, credential_id: int) -> HttpResponse:
    """Show which processes hold sessions that logged in with a credential."""
    credential = get_object_or_404(Credential, pk=credential_id)
    workers = Worker.objects.logged_in_with(credential_id).order_by("lane", "pk")
    users = [(worker, worker.logins[str(credential_id)]) for worker in workers]
    context = {"credential": credential, "users": users}
    return render_page(request, "dispatch/credential_use.html", context, fragment="use")


@needs(Act.SEE)
def campaign_panel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show what holds the mail of a running campaign back; nothing where nothing does."""
    campaign = get_object_or_404(Campaign.objects.select_related("stream"), pk=campaign_id)
    holds = holds_of(campaign) if campaign.is_running else []
    context = {"campaign": campaign, "holds": holds}
    status = polled_status(request, goes_on=campaign.is_followed)
    return render_page(
        request, "dispatch/campaign_holds.html", context, fragment="holds", status=status
    )


@needs(Act.SEE)
def message_panel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show what holds an open message back; nothing where nothing does."""
    related = Message.objects.select_related("stream__domain", "campaign")
    message = get_object_or_404(related, public_id=public_id)
    holds = holds_of_message(message) if message.is_open and not message.is_held else []
    context = {"message": message, "holds": holds}
    return render_page(request, "dispatch/message_holds.html", context, fragment="holds")


@needs(Act.OPERATE)
@require_POST
def pressure_end(request: HttpRequest, pressure_id: int) -> HttpResponse:
    """Let mail leave at full speed, before the rate has risen by itself."""
    pressure = get_object_or_404(Pressure.objects.select_related("transport"), pk=pressure_id)
    end_pressure(pressure, actor=user_of(request))
    messages.success(request, f"Mail to {pressure.place_name} leaves at full speed again.")
    return redirect("transports:detail", pressure.transport_id)


@needs(Act.OPERATE)
@require_POST
def crowding_end(request: HttpRequest, crowding_id: int) -> HttpResponse:
    """Have all sessions again, before they were raised by themselves."""
    crowding = get_object_or_404(Crowding.objects.select_related("transport"), pk=crowding_id)
    end_crowding(crowding, actor=user_of(request))
    messages.success(request, f"{crowding.transport} may have all its sessions again.")
    return redirect("transports:detail", crowding.transport_id)
