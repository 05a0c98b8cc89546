"""The pages of probes: send one, watch it arrive, see what a receiver makes of it."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.lib.htmx import polled_status, render_page
from mailops.rollouts.forms import ProbeForm
from mailops.rollouts.mail_probing import send_probe, verdict_on
from mailops.rollouts.models import MailProbe
from mailops.sandbox.models import CapturedMessage
from mailops.transports.models import Stream

SHOWN = 10
INBOX = "probe+alignment@sandbox.example"


@needs(Act.OPERATE)
@confirm_password
def probe_send(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream.objects.select_related("domain"), pk=stream_id)
    initial = {"recipient": INBOX, "transport": request.GET.get("transport", "")}
    form = ProbeForm(request.POST or None, stream=stream, initial=initial)
    if request.method == "POST" and form.is_valid():
        probe = send_probe(
            stream=stream,
            transport=form.cleaned_data["transport"],
            recipient=form.cleaned_data["recipient"],
            actor=user_of(request),
        )
        return redirect("rollouts:mail-probe", probe.pk)
    context = {
        "form": form,
        "stream": stream,
        "probes": stream.mail_probes.select_related("stream", "transport").order_by("-id")[:SHOWN],
        "listener": settings.MAILOPS_SANDBOX_LISTENER,
    }
    status = 422 if form.is_bound else 200
    return render_page(request, "rollouts/probe_form.html", context, status=status)


@needs(Act.SEE)
def probe_detail(request: HttpRequest, probe_id: int) -> HttpResponse:
    probes = MailProbe.objects.select_related("stream__domain", "transport")
    probe = get_object_or_404(probes, pk=probe_id)
    status = polled_status(request, goes_on=probe.is_waiting)
    context = {"probe": probe, "verdict": probe.verdict}
    return render_page(
        request, "rollouts/probe_detail.html", context, fragment="probe", status=status
    )


@needs(Act.SEE)
def stream_probes(request: HttpRequest, stream_id: int) -> HttpResponse:
    """Show what a receiver made of the newest probe through each transport of a stream."""
    stream = get_object_or_404(Stream.objects.select_related("domain"), pk=stream_id)
    newest = MailProbe.objects.newest_of(stream).select_related("stream", "transport")
    probes = sorted(newest, key=lambda probe: -probe.pk)
    context = {"stream": stream, "probes": probes}
    return render_page(request, "rollouts/stream_probes.html", context, fragment="stream-probes")


@needs(Act.SEE)
def captured_verdict(request: HttpRequest, captured_id: int) -> HttpResponse:
    captured = get_object_or_404(CapturedMessage, pk=captured_id)
    context = {"captured": captured, "verdict": verdict_on(captured).as_values()}
    return render_page(
        request, "rollouts/captured_verdict.html", context, fragment="captured-verdict"
    )
