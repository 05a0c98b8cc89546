"""The pages that say when an incident opens, and who is told."""

from django.contrib import messages as toasts
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    first_come,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.permissions import Act, confirm_password_keep_nothing, needs, user_of
from mailops.incidents.configuring import (
    change_threshold,
    delete_channel,
    save_channel,
    test_channel,
)
from mailops.incidents.forms import ChannelForm, ThresholdForm
from mailops.incidents.models import Notice, NotificationChannel, Threshold
from mailops.lib.htmx import render_page


@needs(Act.SEE)
def threshold_list(request: HttpRequest) -> HttpResponse:
    thresholds = Threshold.objects.order_by("-is_enabled", "id")
    return render_page(request, "incidents/threshold_list.html", {"thresholds": thresholds})


@needs(Act.CONFIGURE)
def threshold_edit(request: HttpRequest, threshold_id: int) -> HttpResponseBase:
    threshold = get_object_or_404(Threshold, id=threshold_id)
    form = ThresholdForm(request.POST or None, instance=threshold)
    if request.method == "POST" and form.is_valid():
        changed, seen = form.save(commit=False), form.cleaned_data["seen"]
        try:
            is_changed = change_threshold(threshold=changed, actor=user_of(request), seen=seen)
        except ChangedMeanwhile:
            return _threshold_conflict(request, get_object_or_404(Threshold, id=threshold_id))
        said = f"{threshold}: changed; it holds from the next look, within 10 seconds."
        tell_saved(request, said, is_changed=is_changed)
        return redirect("incidents:thresholds")
    return _threshold_form(request, form, None)


def _threshold_conflict(request: HttpRequest, threshold: Threshold) -> HttpResponse:
    """Show the threshold as it is by now beside what was typed; whoever saves again has seen it."""
    typed = typed_by_one_who_saw(threshold.mark, request.POST)
    again = ThresholdForm(typed, instance=threshold)
    told = meanwhile(again, last_done("threshold.change", threshold))
    return _threshold_form(request, again, told)


def _threshold_form(
    request: HttpRequest, form: ThresholdForm, told: Meanwhile | None
) -> HttpResponse:
    context = {"form": form, "name": str(form.instance), "meanwhile": told}
    status = 422 if form.is_bound else 200
    return render_page(request, "incidents/threshold_form.html", context, status=status)


@needs(Act.SEE)
def channel_list(request: HttpRequest) -> HttpResponse:
    channels = NotificationChannel.objects.select_related("stream").order_by("name")
    related = ("channel", "incident__threshold", "message")
    notices = Notice.objects.select_related(*related).prefetch_related("attempts")
    context = {"channels": channels, "notices": notices.order_by("-id")[:30]}
    return render_page(request, "incidents/channel_list.html", context, fragment="notices")


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def channel_add(request: HttpRequest, kind: str) -> HttpResponseBase:
    if kind not in NotificationChannel.Kind:
        raise Http404
    return _edit_channel(request, NotificationChannel(kind=kind))


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def channel_edit(request: HttpRequest, channel_id: int) -> HttpResponseBase:
    return _edit_channel(request, get_object_or_404(NotificationChannel, id=channel_id))


def _edit_channel(request: HttpRequest, channel: NotificationChannel) -> HttpResponseBase:
    form = ChannelForm(request.POST or None, instance=channel)
    if request.method == "POST" and form.is_valid():
        changed, url = form.save(commit=False), form.cleaned_data.get("url", "")
        seen = form.cleaned_data.get("seen")
        try:
            with first_come(form):
                is_changed = save_channel(
                    channel=changed, url=url, actor=user_of(request), seen=seen
                )
        except ChangedMeanwhile:
            now = get_object_or_404(NotificationChannel, id=channel.pk)
            return _channel_conflict(request, now)
        if not form.errors:
            said = f"{changed} is saved. Test it, so that it works when it must."
            tell_saved(request, said, is_changed=is_changed)
            return redirect("incidents:channels")
    return _channel_form(request, form, None)


def _channel_conflict(request: HttpRequest, channel: NotificationChannel) -> HttpResponse:
    """Show the channel as it is by now beside what was typed, but for a webhook's address."""
    again = ChannelForm(typed_by_one_who_saw(channel.mark, request.POST), instance=channel)
    told = meanwhile(again, last_done("channel.change", channel), untold=("url",))
    return _channel_form(request, again, told)


def _channel_form(request: HttpRequest, form: ChannelForm, told: Meanwhile | None) -> HttpResponse:
    channel = form.instance
    title = str(channel) if channel.pk else f"Add a {channel.kind} channel"
    press = "Save" if channel.pk else "Add channel"
    context = {"form": form, "title": title, "press": press, "meanwhile": told}
    status = 422 if form.is_bound else 200
    return render_page(request, "incidents/channel_form.html", context, status=status)


@needs(Act.CONFIGURE)
def channel_delete(request: HttpRequest, channel_id: int) -> HttpResponseBase:
    channel = get_object_or_404(NotificationChannel, id=channel_id)
    if request.method == "POST":
        delete_channel(channel=channel, actor=user_of(request))
        toasts.success(request, f"{channel} is deleted.")
        return redirect("incidents:channels")
    effects = [
        "It is told of no incident any more, those that are open included.",
        f"The record of {channel.notices.count():,} notices to it goes with it.",
    ]
    context = {"channel": channel, "effects": effects, "text": "This can't be undone."}
    return render_page(request, "incidents/channel_confirm_delete.html", context)


@needs(Act.OPERATE)
@require_POST
def channel_test(request: HttpRequest, channel_id: int) -> HttpResponseBase:
    channel = get_object_or_404(NotificationChannel, id=channel_id)
    test_channel(channel=channel, actor=user_of(request))
    toasts.success(request, f"{channel} is told in a moment; what came of it shows below.")
    return redirect("incidents:channels")
