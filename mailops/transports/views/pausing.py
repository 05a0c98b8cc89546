"""Pausing and resuming, the same for transports and streams."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mailops.accounts.permissions import user_of
from mailops.lib.htmx import render_page
from mailops.transports.forms.transports import PauseForm
from mailops.transports.models import PauseCause, PausedAnew, Stream, Transport


def pause(
    request: HttpRequest, subject: Stream | Transport, *, template: str, back: str, **context: Any
) -> HttpResponse:
    """Ask why, then pause `subject` for a person and go `back` to its page."""
    form = PauseForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        status = 422 if form.is_bound else 200
        return render_page(request, template, {"form": form, **context}, status=status)
    user = user_of(request)
    sentence = form.cleaned_data["reason"] or f"Paused by {user}."
    if subject.pause(PauseCause.PERSON, sentence, actor=user):
        messages.success(request, f"{subject} is paused; what is due waits.")
    else:
        messages.info(request, f"{subject} was paused already.")
    return redirect(back, subject.pk)


def resume(request: HttpRequest, subject: Stream | Transport, *, back: str) -> HttpResponse:
    cause, why = subject.pause_cause, subject.pause_sentence
    try:
        is_resumed = subject.resume(actor=user_of(request), seen=request.POST.get("seen"))
    except PausedAnew as other:
        messages.warning(request, str(other))
        return redirect(back, subject.pk)
    if not is_resumed:
        messages.info(request, f"{subject} was running already.")
    elif cause == PauseCause.FAULT and isinstance(subject, Transport):
        messages.warning(request, _tried_again(subject, why))
    else:
        messages.success(request, f"{subject} runs; what waited is sent as its limits allow.")
    return redirect(back, subject.pk)


def _tried_again(transport: Transport, why: str) -> SafeString:
    """Say that nobody knows whether the fault is mended, and what shows it."""
    return format_html(
        "{} is tried again. It had stopped for this: {} If that is not mended, it stops at the next mail. "
        '<a href="#connection-test">Test the connection</a> to see.',
        transport,
        why or "a fault.",
    )
