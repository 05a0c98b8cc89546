"""Releases: publishing with its gates and its second person, rolling back, and what a change of a part would change."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from mailops.accounts.meanwhile import ChangedMeanwhile, Meanwhile, last_done, tell_saved
from mailops.accounts.permissions import Act, confirm_password, may, needs, user_of
from mailops.content import approving, dependents, desk, gating, publishing
from mailops.content.checking import Look
from mailops.content.differing import State, compare
from mailops.content.forms import (
    AskForm,
    DecideForm,
    GatesForm,
    OverrideForm,
    PublishForm,
    SeenForm,
)
from mailops.content.gates import ASKS, GATES
from mailops.content.link_views import context_of
from mailops.content.looking import look_at_draft
from mailops.content.models import Approval, MailTemplate, TemplateVersion
from mailops.content.outside import ask_outside
from mailops.content.rendering import RenderError
from mailops.content.showing import draft_or_404, version_or_404
from mailops.lib.htmx import render_page
from mailops.lib.whole_numbers import whole_number
from mailops.transports.models import Stream


@needs(Act.AUTHOR)
def template_publish(request: HttpRequest, template_id: int) -> HttpResponse:
    template = draft_or_404(template_id)
    look, others = look_at_draft(template)
    outside = ask_outside(template, look, others, is_final=request.method == "POST")
    look.problems.extend(outside.problems)
    seen = publishing.release_hash(template, look.parts)
    form = PublishForm(
        request.POST.dict() if request.method == "POST" else None,
        initial={"seen": seen},
        warnings=sum(len(one.warnings) for one in (look, *others.values())),
    )
    if request.method == "POST" and form.is_valid():
        version = _published(
            form,
            seen,
            template=template,
            actor=user_of(request),
            note=form.cleaned_data["note"],
            has_nodded=form.cleaned_data.get("nod", False),
            more=outside.problems,
        )
        if version:
            toasts.success(request, f"Version {version.number} is published.")
            if dependents.users_of(template):
                return redirect("content:dependents", template.pk, version.number)
            return redirect("content:detail", template.pk)
    return render_page(
        request,
        "content/template_publish.html",
        {
            **context_of(template, outside.links, begins=True),
            **_against_the_latest(template, look, others),
            "form": form,
            "users": dependents.users_of(template),
            "approval": publishing.newest_approval(template, seen),
            "ask_form": AskForm(initial={"seen": seen, "note": request.GET.get("note", "")}),
            "has_unsaved": desk.has_unsaved(template, user_of(request)),
            "is_open_to_override": may(request.user, Act.SIGN),
        },
        status=422 if form.errors else 200,
    )


def _against_the_latest(
    template: MailTemplate, look: Look, others: dict[str, Look]
) -> dict[str, Any]:
    """Return what the page shows of a draft that was looked over, beside what is out."""
    latest = template.latest_version
    draft = State.of_draft(template, (look, others))
    has_errors = any(one.errors for one in (look, *others.values()))
    return {
        "template": template,
        "look": look,
        "others": others,
        "has_errors": has_errors,
        "latest": latest,
        "is_left": MailTemplate.objects.left().filter(pk=template.pk).exists(),
        "is_as_published": latest
        and not has_errors
        and publishing.is_as_published(latest, template, look, others),
        "next_number": latest.number + 1 if latest else 1,
        "parts": compare(State.of_version(latest), draft) if latest else [],
    }


def _published(form: PublishForm | OverrideForm, seen: str, **given: Any) -> TemplateVersion | None:
    """Publish, or write on the form why not; where the draft is another one now, that is the one seen with it."""
    try:
        return publishing.publish(seen=form.cleaned_data["seen"], **given)
    except (RenderError, *publishing.REFUSALS) as error:
        form.add_error(None, publishing.words_of(error))
        if isinstance(error, ChangedMeanwhile):
            form.data = {**form.data, "seen": seen, "nod": ""}
        return None


@needs(Act.SEE, to_change=Act.SIGN)
def gate_list(request: HttpRequest) -> HttpResponse:
    """Show which gates each stream requires, and take a new choice for one of them."""
    form = GatesForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        stream, gates = form.cleaned_data["stream"], form.cleaned_data["gates"]
        seen = form.cleaned_data["seen"]
        try:
            is_changed = gating.require(
                stream=stream, gates=gates, actor=user_of(request), seen=seen
            )
        except ChangedMeanwhile:
            return _gate_page(request, form, typed={stream: gates})
        tell_saved(request, f"Saved for {stream}.", is_changed=is_changed)
        return redirect("content:gates")
    return _gate_page(request, form, typed={})


def _gate_page(
    request: HttpRequest, form: GatesForm, *, typed: dict[Stream, list[str]]
) -> HttpResponse:
    """Show what each stream requires; where it was changed since, what was `typed`, beside what it requires by now."""
    rows = []
    for stream in Stream.objects.select_related("domain").order_by("name"):
        required, told = gating.required_of(stream), None
        if stream in typed:
            facts = [("Required", ", ".join(GATES[gate] for gate in required) or "none")]
            told = Meanwhile(facts, last_done("template.require_gates", stream))
        rows.append((stream, typed.get(stream, required), gating.mark_of_gates(required), told))
    asks = [(GATES[gate], question) for gate, question in ASKS.items()]
    return render_page(
        request,
        "content/gate_list.html",
        {"form": form, "rows": rows, "gates": GATES, "asks": asks, "silent": gating.silent_gates()},
        status=422 if form.errors or typed else 200,
    )


@needs(Act.AUTHOR)
@require_POST
def approval_ask(request: HttpRequest, template_id: int) -> HttpResponse:
    template = draft_or_404(template_id)
    form = AskForm(request.POST)
    if not form.is_valid():
        toasts.error(request, "The request is not valid.")
        return redirect("content:publish", template.pk)
    try:
        asked = approving.ask(
            template=template,
            actor=user_of(request),
            note=form.cleaned_data["note"],
            seen=form.cleaned_data["seen"],
        )
    except (RenderError, ChangedMeanwhile) as error:
        toasts.error(request, publishing.words_of(error))
        typed = urlencode({"note": form.cleaned_data["note"]})
        return redirect(f"{reverse('content:publish', args=[template.pk])}?{typed}")
    toasts.success(request, "Somebody else can now look at it and approve it.")
    return redirect("content:approval", asked.pk)


@needs(Act.SEE, to_change=Act.AUTHOR)
def approval_detail(request: HttpRequest, approval_id: int) -> HttpResponse:
    approval = get_object_or_404(
        Approval.objects.select_related("template__layout", "asked_by", "decided_by"),
        pk=approval_id,
    )
    template = approval.template
    form = DecideForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            approving.decide(
                approval=approval,
                actor=user_of(request),
                is_approved=form.cleaned_data["decision"] == "approve",
                reason=form.cleaned_data["reason"],
            )
        except approving.NotYours as error:
            form.add_error(None, str(error))
        else:
            return redirect("content:approval", approval.pk)
    look, others = look_at_draft(template)
    look.problems.extend(ask_outside(template, look, others).problems)
    latest = template.latest_version
    draft = State.of_draft(template, (look, others))
    is_current = publishing.release_hash(template, look.parts) == approval.content_hash
    return render_page(
        request,
        "content/approval_detail.html",
        {
            "approval": approval,
            "template": template,
            "form": form,
            "look": look,
            "others": others,
            "latest": latest,
            "is_current": is_current,
            "may_decide": is_current
            and approval.is_approved is None
            and may(request.user, Act.AUTHOR)
            and not approving.is_author(approval, user_of(request)),
            "parts": compare(State.of_version(latest) if latest else State.empty(), draft),
        },
        status=422 if form.errors else 200,
    )


@needs(Act.SIGN)
@confirm_password
def template_override(request: HttpRequest, template_id: int) -> HttpResponse:
    """Publish without a second person: for the night when nobody else is there."""
    template = draft_or_404(template_id)
    look, others = look_at_draft(template)
    seen = publishing.release_hash(template, look.parts)
    form = OverrideForm(
        request.POST.dict() if request.method == "POST" else None, initial={"seen": seen}
    )
    if request.method == "POST" and form.is_valid():
        asked = ask_outside(template, look, others, is_final=True)
        version = _published(
            form,
            seen,
            template=template,
            actor=user_of(request),
            override_reason=form.cleaned_data["reason"],
            more=asked.problems,
        )
        if version:
            toasts.success(request, f"Version {version.number} is published, without approval.")
            return redirect("content:detail", template.pk)
    return render_page(
        request,
        "content/template_override.html",
        {"template": template, "form": form, "look": look, "others": others},
        status=422 if form.errors else 200,
    )


@needs(Act.AUTHOR)
def version_roll_back(request: HttpRequest, template_id: int, number: int) -> HttpResponse:
    version = version_or_404(template_id, number)
    template = version.template
    latest = template.latest_version
    form = SeenForm(request.POST or None, initial={"seen": latest.number if latest else None})
    if request.method == "POST":
        try:
            release = publishing.roll_back(
                version=version,
                actor=user_of(request),
                seen=form.number,
                may_override=may(request.user, Act.SIGN),
            )
        except publishing.NothingToPublish:
            toasts.info(request, f"What version {number} says is out already.")
        except publishing.NotApproved:
            toasts.error(
                request,
                f"Nobody approved version {number}. Copy it to the draft and ask for approval; operators and admins may roll back to it.",
            )
            return redirect("content:version", template_id, number)
        except (RenderError, publishing.NewerPublished) as error:
            toasts.error(request, publishing.words_of(error))
            return redirect("content:roll-back", template_id, number)
        else:
            toasts.success(
                request,
                f"Version {release.number} is published: it is what version {number} was. The draft stays as it was.",
            )
        return redirect("content:detail", template_id)
    return render_page(
        request,
        "content/version_roll_back.html",
        {
            "version": version,
            "template": template,
            "form": form,
            "latest": latest,
            "parts": compare(State.of_version(latest), State.of_version(version)) if latest else [],
        },
    )


@needs(Act.AUTHOR)
def version_dependents(request: HttpRequest, template_id: int, number: int) -> HttpResponse:
    """Show what a layout's or block's version would change, and publish that where it is wanted."""
    version = version_or_404(template_id, number)
    newest = version.template.latest_version
    if newest and newest.number != number:  # only that one would be taken
        toasts.warning(request, f"{newest} is newer than v{number}: this is what it changes.")
        return redirect("content:dependents", template_id, newest.number)
    changes = dependents.changes_by(version)
    if request.method == "POST":
        pressed = {whole_number(pk) for pk in request.POST.getlist("template")}
        chosen = [change for change in changes if change.template.pk in pressed]
        if chosen:
            made = dependents.republish(version=version, chosen=chosen, actor=user_of(request))
            toasts.success(request, f"{made} of {len(chosen)} mails were published anew.")
        else:
            toasts.info(request, "Nothing was published: choose a mail first.")
        return redirect("content:dependents", template_id, number)
    return render_page(
        request,
        "content/version_dependents.html",
        {"version": version, "template": version.template, "changes": changes},
    )
