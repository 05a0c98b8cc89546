"""Who looked at one message."""

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from mailops.accounts.permissions import Act, needs
from mailops.lib.htmx import render_page
from mailops.outbox.models import Message
from mailops.tracking.models import Look


@needs(Act.SEE)
def message_looks(request: HttpRequest, public_id: UUID) -> HttpResponse:
    message = get_object_or_404(Message.objects.select_related("stream"), public_id=public_id)
    looks = Look.objects.filter(message=message).order_by("first_at", "link", "who")
    # a click is told by its link; where the link has no name any more, by the row of any of them
    named = set(looks.exclude(link=0).values_list("kind", "who"))
    shown = [look for look in looks if look.link or (look.kind, look.who) not in named]
    context = {"message": message, "looks": shown, "days": settings.MAILOPS_LOOK_DAYS}
    return render_page(request, "tracking/message_looks.html", context, fragment="looks")
