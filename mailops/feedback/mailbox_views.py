"""The pages of mailboxes that bounces are read from: list, add, change, test, delete; a password is never shown."""

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    first_come,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.permissions import (
    Act,
    confirm_password,
    confirm_password_keep_nothing,
    needs,
    user_of,
)
from mailops.feedback.mailbox_causes import cause_of
from mailops.feedback.mailbox_forms import MailboxForm
from mailops.feedback.mailbox_reading import look
from mailops.feedback.mailboxes import add_mailbox, change_mailbox, delete_mailbox
from mailops.feedback.models import Mailbox, RawFeedback
from mailops.feedback.tasks import read_mailbox_soon
from mailops.lib.htmx import render_page
from mailops.lib.imap import MOST_OCTETS, ImapFault

SHOWN = 20


@needs(Act.SEE)
def mailbox_list(request: HttpRequest) -> HttpResponse:
    mailboxes = [(one, cause_of(one.cause)) for one in Mailbox.objects.broken_first()]
    return render_page(request, "feedback/mailbox_list.html", {"mailboxes": mailboxes})


@needs(Act.SEE)
def mailbox_detail(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    mailbox = get_object_or_404(Mailbox.objects.select_related("grant__credential"), pk=mailbox_id)
    rows = RawFeedback.objects.light().filter(mailbox=mailbox).select_related("message")
    most = f"{MOST_OCTETS // 1024**2} MB"
    context = {
        "mailbox": mailbox,
        "cut_note": f"larger than {most}: their first {most} were read",
        "cause": cause_of(mailbox.cause),
        "rows": list(rows.order_by("-id")[:SHOWN]),
    }
    return render_page(request, "feedback/mailbox_detail.html", context)


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def mailbox_add(request: HttpRequest) -> HttpResponse:
    form = MailboxForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given, password = form.given, form.new_password
        with first_come(form):
            mailbox = add_mailbox(given=given, password=password, actor=user_of(request))
        if not form.errors:
            return _saved(request, mailbox)
    return _form_page(request, form, None)


@needs(Act.CONFIGURE)
@confirm_password_keep_nothing
def mailbox_edit(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    mailbox = get_object_or_404(Mailbox, pk=mailbox_id)
    name = mailbox.name
    form = MailboxForm(request.POST or None, instance=mailbox)
    if request.method == "POST" and form.is_valid():
        try:
            with first_come(form):
                is_changed = change_mailbox(
                    mailbox=mailbox,
                    given=form.given,
                    password=form.new_password,
                    actor=user_of(request),
                    seen=form.cleaned_data["seen"],
                )
        except ChangedMeanwhile:
            return _conflict(request, get_object_or_404(Mailbox, pk=mailbox_id))
        if not form.errors:
            return _saved(request, mailbox, is_changed=is_changed)
    return _form_page(request, form, name)


def _conflict(request: HttpRequest, mailbox: Mailbox) -> HttpResponse:
    """Show the mailbox as it is by now beside what was typed, but for a password; whoever saves again has seen it."""
    again = MailboxForm(typed_by_one_who_saw(mailbox.mark, request.POST), instance=mailbox)
    told = meanwhile(again, last_done("mailbox.change", mailbox), untold=("password",))
    return _form_page(request, again, mailbox.name, told)


def _form_page(
    request: HttpRequest, form: MailboxForm, name: str | None, told: Meanwhile | None = None
) -> HttpResponse:
    mailbox = form.instance if form.instance.pk else None
    context = {"form": form, "mailbox": mailbox, "name": name, "meanwhile": told}
    status = 422 if form.is_bound else 200
    return render_page(request, "feedback/mailbox_form.html", context, status=status)


def _saved(request: HttpRequest, mailbox: Mailbox, *, is_changed: bool = True) -> HttpResponse:
    mailbox.refresh_from_db()
    tell_saved(request, f"{mailbox} is saved. Test it now.", is_changed=is_changed)
    return redirect(mailbox)


@needs(Act.OPERATE)
@require_POST
def mailbox_test(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    """Log in and look, changing nothing in the mailbox; where that goes well, it is read at once."""
    mailbox = get_object_or_404(Mailbox.objects.select_related("grant"), pk=mailbox_id)
    try:
        found = look(mailbox)
    except ImapFault as fault:
        mailbox.record_failure(fault.cause, fault.detail)
        told = cause_of(fault.cause).sentence
        toasts.error(request, told)
    else:
        told = found.sentence
        toasts.success(request, told)
        if mailbox.is_enabled:
            Mailbox.objects.filter(pk=mailbox.pk).update(due_at=None)
            read_mailbox_soon(mailbox.pk)
    audit(actor=user_of(request), verb="mailbox.test", subject=mailbox, reason=told)
    return redirect(mailbox)


@needs(Act.CONFIGURE)
@confirm_password
def mailbox_delete(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    mailbox = get_object_or_404(Mailbox, pk=mailbox_id)
    if request.method == "POST":
        delete_mailbox(mailbox=mailbox, actor=user_of(request))
        toasts.success(request, f"{mailbox} is read no more.")
        return redirect("feedback:mailboxes")
    return render_page(request, "feedback/mailbox_confirm_delete.html", {"mailbox": mailbox})
