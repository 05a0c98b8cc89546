"""The editor: the draft, its preview as one types, and the frame the preview stands in."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.contrib import messages as toasts
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST

from mailops.accounts.models import User
from mailops.accounts.permissions import Act, needs, user_of
from mailops.content.checking import Look, Problem, look_over
from mailops.content.differing import State, compare
from mailops.content.drafting import DraftConflict, save_draft
from mailops.content.forms import DraftForm, LookForm
from mailops.content.framing import framed
from mailops.content.models import MailTemplate, Preview
from mailops.content.variables import BUILT_IN
from mailops.lib.htmx import render_page

PREVIEWS_KEPT = timedelta(hours=12)


@needs(Act.AUTHOR)
def template_edit(request: HttpRequest, template_id: int) -> HttpResponse:
    template = get_object_or_404(
        MailTemplate.objects.select_related("draft_changed_by"), pk=template_id
    )
    if request.method != "POST":
        form = DraftForm(initial=DraftForm.initial_for(template))
        draft = {
            "subject": template.draft_subject,
            "html": template.draft_html,
            "text": template.draft_text,
            "sample": template.sample,
        }
        return _page(request, template, form, draft)
    form = DraftForm(request.POST)
    if form.is_valid():
        try:
            save_draft(
                template=template,
                revision=form.cleaned_data["revision"],
                actor=user_of(request),
                **form.draft,
            )
        except DraftConflict:
            return _conflict(request, template, form)
        toasts.success(request, "The draft is saved.")
        return redirect("content:edit", template.pk)
    return _page(request, template, form, form.draft, status=422)


@needs(Act.AUTHOR)
@require_POST
def template_preview(request: HttpRequest, template_id: int) -> HttpResponse:
    """Show what was typed, saved or not; a lint of all parts comes with it."""
    template = get_object_or_404(MailTemplate, pk=template_id)
    form = DraftForm(request.POST)
    form.is_valid()
    return _page(request, template, form, form.draft, is_strict=True)


@needs(Act.AUTHOR)
@xframe_options_sameorigin
def preview_html(request: HttpRequest, template_id: int) -> HttpResponse:
    """Serve the HTML this person last previewed."""
    preview = Preview.objects.filter(template=template_id, user=user_of(request)).first()
    if preview is None:
        raise Http404
    return framed(preview.html, LookForm(request.GET))


def _page(
    request: HttpRequest,
    template: MailTemplate,
    form: DraftForm,
    draft: dict[str, Any],
    *,
    status: int = 200,
    is_strict: bool = False,
    **more: Any,
) -> HttpResponse:
    """Show the editor; where `is_strict`, an error in the draft makes it 422 as an error in the form does."""
    look = look_over(**draft)
    refused = [
        Problem(str(error), is_error=True, part=name)
        for name, errors in form.errors.items()
        for error in errors
    ]
    look = replace(look, problems=[*refused, *look.problems])
    return render_page(
        request,
        "content/template_edit.html",
        {
            "template": template,
            "form": form,
            "look": look,
            "look_form": _look_form(request),
            "preview": _keep(template, user_of(request), look),
            "editor": _editor_facts(look, draft["sample"]),
            "built_in": BUILT_IN,
            **more,
        },
        fragment="preview",
        status=422 if is_strict and look.errors else status,
    )


def _look_form(request: HttpRequest) -> LookForm:
    form = LookForm(request.POST if "width" in request.POST else None, initial={})
    return form if form.is_bound else LookForm({"width": "desktop", "scheme": "light"})


def _keep(template: MailTemplate, user: User, look: Look) -> Preview | None:
    """Keep the rendered HTML for the frame; a draft that can't be rendered leaves the last one standing."""
    if look.rendered is None:
        return Preview.objects.filter(template=template, user=user).first()
    Preview.objects.filter(changed_at__lt=timezone.now() - PREVIEWS_KEPT).delete()
    preview, _ = Preview.objects.update_or_create(
        template=template, user=user, defaults={"html": look.rendered.html}
    )
    return preview


def _editor_facts(look: Look, sample: dict[str, Any]) -> dict[str, Any]:
    """Return what the editor marks and completes."""
    return {
        "problems": [
            {
                "part": problem.part,
                "line": problem.line,
                "severity": "error" if problem.is_error else "warning",
                "message": problem.sentence,
            }
            for problem in look.problems
            if problem.part
        ],
        "variables": [*BUILT_IN, *map(str, sample)],
    }


def _conflict(request: HttpRequest, template: MailTemplate, form: DraftForm) -> HttpResponse:
    """Show both drafts; saving again, now from the newer revision, is a decision and not an accident."""
    template.refresh_from_db()
    typed = State(label="yours", **form.draft)
    again = DraftForm({**request.POST.dict(), "revision": template.draft_revision})
    again.is_valid()
    return _page(
        request,
        template,
        again,
        form.draft,
        status=422,
        conflict=compare(State.of_draft(template), typed),
    )
