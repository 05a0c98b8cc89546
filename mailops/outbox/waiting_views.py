"""What waits in a stream or for a transport: shown on their pages and before they are paused."""

from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from mailops.accounts.permissions import Act, needs
from mailops.lib.htmx import render_page
from mailops.outbox.waiting import count_waiting
from mailops.transports.models import Stream, Transport


@needs(Act.SEE)
def stream_panel(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream, pk=stream_id)
    return _panel(request, stream.name, [stream])


@needs(Act.SEE)
def transport_panel(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = get_object_or_404(Transport, pk=transport_id)
    return _panel(request, transport.name, Stream.objects.carried_by(transport))


def _panel(request: HttpRequest, name: str, streams: Iterable[Stream]) -> HttpResponse:
    waiting = count_waiting(streams)
    context = {"name": name, "waiting": waiting, "owed": sum(row.owed for row in waiting)}
    return render_page(request, "outbox/waiting.html", context, fragment="waiting")
