"""The sandbox's pages: inboxes, what they hold, one message from every side, the simulator's table."""

from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.response import Http404
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin

from mailops.accounts.permissions import Act, needs, user_of
from mailops.lib.egress import is_trusted
from mailops.lib.env import host_and_port
from mailops.lib.foreign_html import HEADERS, POLICY, without_connections
from mailops.lib.htmx import render_page
from mailops.sandbox.deleting import delete_inbox
from mailops.sandbox.forms import InboxFilterForm, LookForm, NewsForm
from mailops.sandbox.models import CapturedMessage, Inbox
from mailops.sandbox.reading import ReadMessage, read
from mailops.sandbox.simulating import BEHAVIORS

PAGE = 50
SHOWN = 200_000  # octets of source, or characters of text, on a page; the download has all


@needs(Act.SEE)
def inbox_list(request: HttpRequest) -> HttpResponse:
    inboxes = Inbox.objects.with_numbers().order_by("id")
    page = Paginator(inboxes, PAGE).get_page(request.GET.get("page"))
    return render_page(request, "sandbox/inbox_list.html", {"page": page}, fragment="inboxes")


@needs(Act.SEE)
def simulator(request: HttpRequest) -> HttpResponse:
    return render_page(
        request,
        "sandbox/simulator.html",
        {
            "behaviors": BEHAVIORS.values(),
            "keep": settings.MAILOPS_SANDBOX_KEEP,
            "listener": settings.MAILOPS_SANDBOX_LISTENER,
            "is_trusted": is_trusted(*host_and_port(settings.MAILOPS_SANDBOX_LISTENER)),
            "return_path_host": settings.MAILOPS_RETURN_PATH_HOST,
            "base_url": settings.MAILOPS_BASE_URL,
        },
    )


@needs(Act.SEE)
def inbox(request: HttpRequest, inbox_id: int) -> HttpResponse:
    shown = get_object_or_404(Inbox, id=inbox_id)
    form = InboxFilterForm(request.GET)
    captured = shown.captured.light().order_by("-id")
    if form.is_valid():
        captured = captured.matching(form.cleaned_data["q"])
        if behavior := form.cleaned_data["behavior"]:
            captured = captured.filter(behavior=behavior)
    page = Paginator(captured, PAGE).get_page(request.GET.get("page"))
    newest = shown.captured.order_by("-id").values_list("id", flat=True).first() or 0
    return render_page(
        request,
        "sandbox/inbox_detail.html",
        {"inbox": shown, "form": form, "page": page, "newest": newest},
        fragment="captured",
        status=200 if form.is_valid() else 422,
    )


@needs(Act.SEE)
def inbox_news(request: HttpRequest, inbox_id: int) -> HttpResponse:
    """Tell how many messages came since the page was made; the rows on it stay where they are."""
    shown = get_object_or_404(Inbox, id=inbox_id)
    form = NewsForm(request.GET)
    if not form.is_valid():
        return HttpResponse("Ask with ?after=<message id>.", status=422)
    after = form.cleaned_data["after"]
    return render_page(
        request,
        "sandbox/inbox_news.html",
        {"inbox": shown, "newest": after, "news": shown.captured.filter(id__gt=after).count()},
        fragment="news",
    )


@needs(Act.SEE)
def message(request: HttpRequest, message_id: int) -> HttpResponse:
    captured = _captured(message_id)
    found = read(captured.content)
    form = LookForm(request.GET)
    view = (form.cleaned_data["view"] if form.is_valid() else "") or _best_view(found)
    context: dict[str, Any] = {
        "captured": captured,
        "read": found,
        "view": view,
        "views": LookForm.VIEWS,
        "reactions": captured.reactions.order_by("id"),
    }
    if view == "source":
        context["shown"] = captured.content[:SHOWN].decode("utf-8", "replace")
        context["is_cut"] = captured.size > SHOWN
    elif view == "text":
        context["shown"], context["is_cut"] = found.text[:SHOWN], len(found.text) > SHOWN
    return render_page(
        request,
        "sandbox/message_detail.html",
        context,
        fragment="look",
        status=200 if form.is_valid() else 422,
    )


@needs(Act.SEE)
@never_cache
@xframe_options_sameorigin
def message_html(request: HttpRequest, message_id: int) -> HttpResponse:  # noqa: ARG001
    """Serve the HTML of a stranger: it may run nothing, load nothing, and reach nothing of ours."""
    return HttpResponse(
        without_connections(read(_captured(message_id).content).html),
        headers={**HEADERS, "Content-Security-Policy": POLICY.format("")},
    )


@needs(Act.SEE)
@never_cache
def message_source(request: HttpRequest, message_id: int) -> HttpResponse:  # noqa: ARG001
    return _download(_captured(message_id).content, f"message-{message_id}.eml")


@needs(Act.SEE)
@never_cache
def attachment(request: HttpRequest, message_id: int, number: int) -> HttpResponse:  # noqa: ARG001
    for found in read(_captured(message_id).content).attachments:
        if found.number == number:
            return _download(found.content, found.name)
    raise Http404


@needs(Act.SEE, to_change=Act.AUTHOR)
def inbox_delete(request: HttpRequest, inbox_id: int) -> HttpResponseBase:
    shown = get_object_or_404(Inbox, id=inbox_id)
    if request.method == "POST":
        gone = delete_inbox(inbox=shown, actor=user_of(request))
        toasts.success(request, f"The inbox {shown} is deleted, with {gone:,} messages.")
        return redirect("sandbox:list")
    return render_page(
        request,
        "sandbox/inbox_confirm_delete.html",
        {
            "inbox": shown,
            "text": "This can't be undone.",
            "effects": [
                f"{shown.captured.count():,} captured messages are gone for good.",
                "Reports its simulated mailboxes have not sent yet will not be sent.",
                "The inbox comes back, empty, with the next message to it.",
            ],
        },
    )


def _captured(message_id: int) -> CapturedMessage:
    return get_object_or_404(CapturedMessage.objects.select_related("inbox"), id=message_id)


def _best_view(found: ReadMessage) -> str:
    if found.html:
        return "html"
    return "text" if found.text else "source"


def _download(content: bytes, name: str) -> HttpResponse:
    # never the type the sender claims: a browser must save it, not show it
    disposition = content_disposition_header(as_attachment=True, filename=name)
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": disposition or "attachment",
            "X-Content-Type-Options": "nosniff",
        },
    )
