"""The editor: the draft, its preview as one types, and the frame the preview stands in."""

from dataclasses import replace
from typing import Any

from django.contrib import messages as toasts
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST

from mailops.accounts.meanwhile import tell_saved
from mailops.accounts.permissions import Act, needs, user_of
from mailops.content import desk
from mailops.content.checking import Look, Sources, look_over
from mailops.content.differing import State, compare
from mailops.content.drafting import DraftConflict, discard, save_draft
from mailops.content.file_forms import FilesForm
from mailops.content.file_listing import panel_of
from mailops.content.files import files_of_draft, shown_elsewhere
from mailops.content.forms import DraftForm, FillForm, LookForm
from mailops.content.framing import framed
from mailops.content.gates.files import doubtful_files
from mailops.content.gates.finding import Problem, in_reading_order
from mailops.content.link_answers import known_dead
from mailops.content.looking import sources_of
from mailops.content.models import MailTemplate, Preview, Variant
from mailops.content.people import Person, lacking, the_people
from mailops.content.rendering import RenderError
from mailops.content.showing import address_of_editor
from mailops.content.testing import version_for_test
from mailops.content.variables import BUILT_IN
from mailops.lib.htmx import go_on, render_page, wants_fragment

_PLAIN_LOOK = {"width": "desktop", "scheme": "light"}


@needs(Act.AUTHOR)
def template_edit(request: HttpRequest, template_id: int) -> HttpResponse:
    template = _template(template_id)
    if request.method != "POST":
        return _opened(request, template)
    form = DraftForm(request.POST)
    if form.is_valid():
        language = form.cleaned_data["language"]
        try:
            is_changed = save_draft(
                template=template,
                revision=form.cleaned_data["revision"],
                actor=user_of(request),
                page=form.cleaned_data["page"],
                seen=form.cleaned_data["seen"],
                **form.draft,
            )
        except DraftConflict:
            return _conflict(request, template, form)
        if "test" in request.POST:
            return _to_test(request, template, language)
        tell_saved(request, "The draft is saved.", is_changed=is_changed)
        if "stay" in request.POST and wants_fragment(request):
            return _stay(request, template, language)
        return go_on(request, address_of_editor(template, language))
    desk.keep_typed(template, user_of(request), request.POST)
    return _page(request, template, form, status=422)


def _stay(request: HttpRequest, template: MailTemplate, language: str) -> HttpResponse:
    """Leave the page as it is, cursor, scrolling and undoing included; it holds the new revision, and looks at it anew."""
    page = "content/template_edit.html"
    seen = template.mark_of_words(language)
    response = render_page(request, page, {"template": template, "seen": seen}, fragment="saved")
    response["HX-Trigger-After-Settle"] = "saved"
    return response


def _opened(request: HttpRequest, template: MailTemplate) -> HttpResponse:
    """Show the draft with what this person typed and did not save, also where its language was removed since."""
    user = user_of(request)
    language = request.GET.get("language", "")
    kept = desk.unsaved(template, user, language)
    if kept is None and not template.speaks(language):
        raise Http404
    words = kept or DraftForm.initial_for(template, language)
    form = DraftForm(desk.on_a_page(words))
    form.is_valid()
    return _page(request, template, form, kept=kept, stranded=desk.stranded(template, user))


@needs(Act.AUTHOR)
@require_POST
def template_preview(request: HttpRequest, template_id: int) -> HttpResponse:
    """Show what was typed, saved or not, and keep it; a lint of all parts comes with it."""
    template = _template(template_id)
    form = DraftForm(request.POST)
    form.is_valid()
    desk.keep_typed(template, user_of(request), request.POST)
    return _page(request, template, form, is_strict=True)


@needs(Act.AUTHOR)
@require_POST
def template_discard(request: HttpRequest, template_id: int) -> HttpResponse:
    """Throw away what this person typed and did not save."""
    template = _template(template_id)
    language = request.POST.get("language", "")
    discard(template, user_of(request), language)
    toasts.success(request, "This is the draft as it was saved last.")
    return redirect(address_of_editor(template, language if template.speaks(language) else ""))


@needs(Act.AUTHOR)
@xframe_options_sameorigin
def preview_html(request: HttpRequest, template_id: int) -> HttpResponse:
    """Serve the HTML this person last previewed."""
    preview = Preview.objects.filter(template=template_id, user=user_of(request)).first()
    if preview is None:
        raise Http404
    return framed(preview.html, LookForm(request.GET))


def _template(template_id: int) -> MailTemplate:
    found = MailTemplate.objects.written().select_related("draft_changed_by", "layout")
    return get_object_or_404(found, pk=template_id)


def _to_test(request: HttpRequest, template: MailTemplate, language: str) -> HttpResponse:
    """Go on to send the saved draft as a test, the way a stream's mail goes."""
    try:
        version = version_for_test(template, user_of(request))
    except RenderError as error:
        toasts.error(request, f"It can't be sent yet. {error}")
        return go_on(request, address_of_editor(template, language))
    # The pages of sending lie above the templates: only their address is known here.
    return go_on(request, f"{reverse('outbox:test-send')}?version={version.pk}")


def _page(
    request: HttpRequest,
    template: MailTemplate,
    form: DraftForm,
    *,
    status: int = 200,
    is_strict: bool = False,
    **more: Any,
) -> HttpResponse:
    """Show the editor; where `is_strict`, what keeps the draft from being sent makes it 422 as an error in the form does."""
    draft = form.draft
    sample = template.sample if "sample" in form.errors else draft["sample"]
    fill_form = FillForm(request.POST if "filled" in request.POST else {"filled": FillForm.SAMPLE})
    look, person, refusal = _look_at_typed(template, form, sample, fill_form)
    user = user_of(request)
    language = draft["language"]
    is_removed = not template.speaks(language)
    return render_page(
        request,
        "content/template_edit.html",
        {
            "template": template,
            "form": form,
            "look": look,
            "look_form": LookForm(request.POST if "width" in request.POST else _PLAIN_LOOK),
            "fill_form": fill_form,
            "person": person,
            "refusal": refusal,
            "language": language,
            "is_removed": is_removed,
            "variants": template.variants.order_by("language"),
            "others": desk.others_at(template, user),
            "behind": desk.behind(template, user, form),
            "preview": desk.keep_rendered(template, user, look),
            "editor": _editor_facts(template, look, sample),
            "built_in": BUILT_IN,
            "files_form": FilesForm(),
            "panel": SimpleLazyObject(lambda: panel_of(template)),  # the preview alone has none
            **more,
        },
        fragment="preview",
        status=422 if is_strict and (look.errors or is_removed) else status,
    )


def _look_at_typed(
    template: MailTemplate, form: DraftForm, sample: dict[str, Any], fill_form: FillForm
) -> tuple[Look, Person | None, str]:
    """Return what is found in what was typed, the contact that it is filled with, or why there is none."""
    draft = form.draft
    sources = sources_of(template) | {name: draft[name] for name in ("subject", "html", "text")}
    is_read = not form.errors.keys() & {"subject", "html", "text"}
    look = look_over(**sources, sample=sample) if is_read else Look([], [], None)
    person, refusal = _person(fill_form, look)
    if person is not None and is_read:
        look = _filled(look, sources, sample, person)
    if look.rendered is not None:
        look.problems.extend(known_dead(look, sources["html"]))
        look.problems.extend(lacking(Sources(**sources)) if template.is_mail else [])
        shown = look.shown.union(*shown_elsewhere(template, draft["language"]))
        look.problems.extend(doubtful_files(template, shown))
    problems = in_reading_order([*_refused(form), *look.problems])
    return replace(look, problems=problems), person, refusal


def _refused(form: DraftForm) -> list[Problem]:
    """Return why the form refuses what was typed, with the line where it knows one."""
    return [
        Problem(error.messages[0], is_error=True, part=name, line=(error.params or {}).get("line"))
        for name, errors in form.errors.as_data().items()
        for error in errors
    ]


def _person(form: FillForm, look: Look) -> tuple[Person | None, str]:
    """Return the contact that the preview is filled with, or why there is none."""
    people = the_people()
    asked = form.cleaned_data["filled"] if form.is_valid() else FillForm.SAMPLE
    if asked not in {FillForm.EMPTIEST, FillForm.CONTACT} or people is None:
        return None, ""
    if asked == FillForm.EMPTIEST:
        person = people.emptiest(look.variables)
        return person, "" if person else "There are no contacts yet. This is the sample."
    address = form.cleaned_data["contact"]
    if not address:
        return None, "Enter the address of a contact. This is the sample."
    person = people.person(address)
    return person, "" if person else f"There is no contact {address}. This is the sample."


def _filled(look: Look, sources: dict[str, Any], sample: Any, person: Person) -> Look:
    """Return `look` rendered with a contact's data; the findings stay those of the sample."""
    data = {**person.data, "email": person.address}
    filled = look_over(**sources, sample=sample, filled_with=data)
    problems = look.problems if filled.rendered else [*filled.errors, *look.problems]
    return replace(filled, problems=problems)


def _editor_facts(template: MailTemplate, look: Look, sample: dict[str, Any]) -> dict[str, Any]:
    """Return what the editor marks and completes."""
    people = the_people()
    attributes = people.attributes() if people else []
    blocks = MailTemplate.objects.current().filter(kind=MailTemplate.Kind.BLOCK)
    return {
        "problems": [
            {
                "part": problem.part,
                "line": problem.line,
                "severity": problem.severity,
                "message": " ".join(filter(None, [problem.sentence, problem.fix])),
            }
            for problem in look.problems
            if problem.part
        ],
        "variables": list(dict.fromkeys([*BUILT_IN, *map(str, sample), *attributes])),
        "files": [file.name for file in files_of_draft(template) if file.is_inline],
        "blocks": [] if template.kind == MailTemplate.Kind.LAYOUT else _names(blocks),
        "syntax": template.syntax,
    }


def _names(blocks: Any) -> list[str]:
    return list(blocks.order_by("name").values_list("name", flat=True)[:200])


def _conflict(request: HttpRequest, template: MailTemplate, form: DraftForm) -> HttpResponse:
    """Show both drafts; saving again, now from the newer revision, is a decision and not an accident."""
    desk.keep_typed(template, user_of(request), request.POST)
    template.refresh_from_db()
    try:
        theirs = DraftForm.initial_for(template, form.draft["language"])
    except Variant.DoesNotExist:  # their words were removed: the page says so
        return _page(request, template, form, status=422)
    saved = State("saved", theirs["subject"], theirs["html"], theirs["text"], template.sample)
    draft = {name: form.draft[name] for name in ("subject", "html", "text", "sample")}
    stands = {name: theirs[name] for name in ("revision", "seen")}
    again = DraftForm({**request.POST.dict(), **stands})
    again.is_valid()
    return _page(
        request,
        template,
        again,
        status=422,
        conflict=compare(saved, State(label="yours", **draft)),
    )
