"""The template pages: the list, one template, its versions and their differences."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages as toasts
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.clickjacking import xframe_options_sameorigin
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
from mailops.accounts.permissions import Act, may, needs, user_of
from mailops.content import drafting, publishing
from mailops.content.checking import sample_data
from mailops.content.differing import State, compare
from mailops.content.forms import (
    DiffForm,
    LookForm,
    NewTemplateForm,
    SeenForm,
    SettingsForm,
    TemplateFilterForm,
)
from mailops.content.framing import framed
from mailops.content.gates.finding import Problem
from mailops.content.gates.mail import preheader_of
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.plain_text import derive_text
from mailops.content.rendering import RenderError, compile_version
from mailops.content.showing import state_of, version_or_404
from mailops.content.starters import STARTERS
from mailops.lib.htmx import render_page, wants_fragment

PAGE = 50
_LISTED = ("template", "number", "note", "published_at", "published_by")


@needs(Act.SEE)
def template_list(request: HttpRequest) -> HttpResponse:
    form = TemplateFilterForm(request.GET)
    templates = MailTemplate.objects.with_latest().order_by("name")
    is_archive = False
    if form.is_valid():
        templates = templates.matching(form.cleaned_data["q"])
        is_archive = form.cleaned_data["archived"]
    templates = templates.archived() if is_archive else templates.current()
    return render_page(
        request,
        "content/template_list.html",
        {"form": form, "page": Paginator(templates, PAGE).get_page(request.GET.get("page"))},
        fragment="results",
        status=200 if form.is_valid() else 422,
    )


@needs(Act.AUTHOR)
def template_new(request: HttpRequest) -> HttpResponse:
    form = NewTemplateForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        starter = STARTERS[form.cleaned_data["start"]]
        with first_come(form):
            template = drafting.create_template(
                actor=user_of(request),
                name=form.cleaned_data["name"],
                kind=form.cleaned_data["kind"],
                description=form.cleaned_data["description"],
                draft_subject=starter.subject,
                draft_html=starter.html,
                syntax=starter.syntax,
                sample=starter.sample,
            )
        if not form.errors:
            return redirect("content:edit", template.pk)
    return render_page(
        request, "content/template_new.html", {"form": form}, status=422 if form.errors else 200
    )


@needs(Act.SEE)
def template_detail(request: HttpRequest, template_id: int) -> HttpResponse:
    found = MailTemplate.objects.with_latest().select_related("layout", "draft_changed_by")
    template = get_object_or_404(found, pk=template_id)
    versions = template.versions.select_related("published_by").order_by("-number")
    latest = versions.first()
    has_unpublished = not latest or latest.content_hash != template.draft_hash
    return render_page(
        request,
        "content/template_detail.html",
        {
            "template": template,
            "latest": latest,
            "variants": template.variants.order_by("language"),
            "waiting": template.approvals.filter(is_approved=None).order_by("-pk").first(),
            "page": Paginator(versions.only(*_LISTED), PAGE).get_page(request.GET.get("page")),
            "has_unpublished": has_unpublished,
            "is_made_anew": latest
            and not (has_unpublished or wants_fragment(request))
            and publishing.is_made_anew(template, latest),
        },
        fragment="versions",
    )


@needs(Act.AUTHOR)
def template_settings(request: HttpRequest, template_id: int) -> HttpResponse:
    template = _settled(template_id)
    name = template.name
    form = _settings_form(request, template, _posted(request))
    if request.method == "POST" and form.is_valid():
        changes = dict(form.cleaned_data)
        seen, user = changes.pop("seen"), user_of(request)
        try:
            with first_come(form):
                is_changed = drafting.change_settings(
                    template=template,
                    changes=changes,
                    actor=user,
                    seen=seen,
                    may_waive=_may_waive(request),
                )
        except ChangedMeanwhile:
            return _conflict(request, _settled(template_id))
        if not form.errors:
            tell_saved(request, "Saved.", is_changed=is_changed)
            return redirect("content:detail", template.pk)
    return _settings_page(request, form, name)


def _settled(template_id: int) -> MailTemplate:
    return get_object_or_404(MailTemplate.objects.written(), pk=template_id)


def _settings_form(
    request: HttpRequest, template: MailTemplate, typed: Mapping[str, Any] | None
) -> SettingsForm:
    return SettingsForm(typed, instance=template, may_waive=_may_waive(request))


def _may_waive(request: HttpRequest) -> bool:
    return may(request.user, Act.SIGN)  # as who overrides it once


def _conflict(request: HttpRequest, template: MailTemplate) -> HttpResponse:
    """Show the settings as they are by now beside what was typed; whoever saves again has seen them."""
    name, typed = template.name, typed_by_one_who_saw(template.mark, request.POST)
    again = _settings_form(request, template, typed)
    entry = last_done(
        "template.settings",
        template,
        "template.waive_approval",
        after__has_any_keys=again.changed_data,  # the languages are settings, too
    )
    return _settings_page(request, again, name, meanwhile(again, entry))


def _settings_page(
    request: HttpRequest, form: SettingsForm, name: str, told: Meanwhile | None = None
) -> HttpResponse:
    return render_page(
        request,
        "content/template_settings.html",
        {"form": form, "name": name, "template_id": form.instance.pk, "meanwhile": told},
        status=422 if form.errors or told else 200,
    )


@needs(Act.AUTHOR)
@require_POST
def template_archive(request: HttpRequest, template_id: int) -> HttpResponse:
    template = get_object_or_404(MailTemplate.objects.written(), pk=template_id)
    drafting.archive(template=template, actor=user_of(request))
    toasts.success(request, f"“{template}” is archived. What is sent with it goes on.")
    return redirect("content:detail", template.pk)


@needs(Act.AUTHOR)
@require_POST
def template_unarchive(request: HttpRequest, template_id: int) -> HttpResponse:
    template = get_object_or_404(MailTemplate.objects.written(), pk=template_id)
    drafting.unarchive(template=template, actor=user_of(request))
    toasts.success(request, f"“{template}” is back in the list.")
    return redirect("content:detail", template.pk)


@needs(Act.SEE)
def version_detail(request: HttpRequest, template_id: int, number: int) -> HttpResponse:
    version = version_or_404(template_id, number)
    latest = version.template.latest_version
    rendered = None
    try:
        rendered = compile_version(version).render(sample_data(version.sample))
    except RenderError as error:
        toasts.error(request, str(error))
    return render_page(
        request,
        "content/version_detail.html",
        {
            "version": version,
            "template": version.template,
            "rendered": rendered,
            "text_source": version.text or derive_text(version.html),
            "written": version.source or version.html,
            **_found(version),
            "preheader": preheader_of(rendered) if rendered else "",
            "is_out": latest is not None and number in (latest.number, latest.restores),
            "previous": number - 1,
        },
    )


def _found(version: TemplateVersion) -> dict[str, Any]:
    """Return what the gates said of a version, as the list of checks shows it."""
    found = [Problem.of_json(kept) for kept in version.findings]
    languages = sorted({each.language for each in found} - {""})
    by_language = {
        language: {"problems": [each for each in found if each.language == language]}
        for language in ["", *languages]
    }
    return {"look": by_language.pop(""), "others": by_language}


@needs(Act.SEE)
@xframe_options_sameorigin
def version_html(request: HttpRequest, template_id: int, number: int) -> HttpResponse:
    """Serve a version's HTML, filled with its sample, for a sandboxed frame."""
    version = version_or_404(template_id, number)
    try:
        html = compile_version(version).render(sample_data(version.sample)).html
    except RenderError as error:
        html = f"<p>{error.sentence}</p>"
    return framed(html, LookForm(request.GET))


@needs(Act.AUTHOR)
def version_restore(request: HttpRequest, template_id: int, number: int) -> HttpResponse:
    version = version_or_404(template_id, number)
    form = SeenForm(request.POST or None, initial={"seen": version.template.draft_revision})
    if request.method == "POST":
        try:
            publishing.restore(version=version, actor=user_of(request), seen=form.number)
        except ChangedMeanwhile as error:
            toasts.error(request, publishing.words_of(error))
            return redirect("content:restore", template_id, number)
        toasts.success(
            request, f"The draft says what version {number} says. Publish it when it's right."
        )
        return redirect("content:edit", template_id)
    draft = State.of_draft(version.template)
    return render_page(
        request,
        "content/version_restore.html",
        {
            "version": version,
            "template": version.template,
            "form": form,
            "latest": version.template.latest_version,
            "parts": compare(draft, State.of_version(version)),
        },
    )


@needs(Act.SEE)
def template_diff(request: HttpRequest, template_id: int) -> HttpResponse:
    template = get_object_or_404(MailTemplate, pk=template_id)
    numbers = list(template.versions.order_by("-number").values_list("number", flat=True))
    chosen = request.GET or _newest_step(template, numbers)
    form = DiffForm(chosen, numbers=numbers)
    context: dict[str, object] = {"template": template, "form": form}
    if form.is_valid():
        old, new = (
            state_of(template, side)
            for side in (form.cleaned_data["old"], form.cleaned_data["new"])
        )
        context |= {"old": old, "new": new, "parts": compare(old, new)}
    return render_page(
        request,
        "content/template_diff.html",
        context,
        fragment="difference",
        status=200 if form.is_valid() else 422,
    )


def _newest_step(template: MailTemplate, numbers: list[int]) -> dict[str, str]:
    """Choose what changed last: the draft since the newest version, else that version since the one before."""
    newest = template.versions.order_by("-number").first()
    if newest and len(numbers) > 1 and newest.content_hash == template.draft_hash:
        return {"old": str(numbers[1]), "new": str(numbers[0])}
    return {"old": str(numbers[0]) if numbers else "draft", "new": "draft"}


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None
