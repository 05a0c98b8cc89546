"""The files panel of a template: taking files in, out and back, scanning them again, and giving them out."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import content_disposition_header
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST

from mailops.accounts.body_sizes import WEIGHS_ITSELF, takes_uploads
from mailops.accounts.permissions import Act, needs, user_of
from mailops.content import desk, enclosing, scanning
from mailops.content.enclosing import NameTaken, RefusedFile
from mailops.content.file_forms import FileActForm, FilesForm
from mailops.content.file_listing import panel_of
from mailops.content.file_types import clean_name, content_type_of, is_picture
from mailops.content.models import FileContent, MailTemplate, TemplateFile, TemplateVersion
from mailops.content.showing import address_of_editor
from mailops.lib.htmx import render_page, wants_fragment
from mailops.lib.whole_numbers import whole_number

BESIDE = 2_000_000  # octets of a form beside its files: the draft's words
TOO_LARGE = 413
# whoever opens it in a window of its own: it may do nothing there
_HARMLESS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@csrf_exempt  # the token is in the body, which _file_list has checked once the body is known not to be too long
@takes_uploads(WEIGHS_ITSELF)
@needs(Act.SEE, to_change=Act.AUTHOR)
def file_list(request: HttpRequest, template_id: int) -> HttpResponse:
    """Show a template's files; a POST adds some."""
    template = get_object_or_404(MailTemplate.objects.written(), pk=template_id)
    if request.method == "POST" and _length_of(request) > most():
        form = FilesForm()
        sentence = f"That is more than {settings.MAILOPS_FILES_MB} MB, which no mail can carry. Link to it instead."
        return _panel(request, template, form, status=TOO_LARGE, refusals=[sentence])
    return _file_list(request, template)


def most() -> int:
    """Return how many octets an upload may have; a longer one isn't read."""
    return settings.MAILOPS_FILES_MB * 1_000_000 + BESIDE


def _length_of(request: HttpRequest) -> int:
    said = whole_number(request.META.get("CONTENT_LENGTH") or "0")
    return most() + 1 if said is None else said


@csrf_protect
def _file_list(request: HttpRequest, template: MailTemplate) -> HttpResponse:
    if request.method != "POST":
        return _panel(request, template, FilesForm())
    _keep_words(request, template)
    form = FilesForm(request.POST, {"file": request.FILES.getlist("file")})
    if not form.is_valid():
        return _panel(request, template, form, status=422, refusals=_said_of_file(form))
    refusals, added = [], []
    for upload in form.cleaned_data["file"]:
        try:
            file = enclosing.add_file(
                template=template,
                name=upload.name or "",
                content=_octets_of(upload),
                actor=user_of(request),
                replaces=form.cleaned_data["replaces"],
            )
        except NameTaken as error:
            refusals.append(
                f"{error} To put this one in its place, tick “Replace” and add it again."
            )
        except RefusedFile as error:
            refusals.append(f"{clean_name(upload.name or '') or 'The file'}: {error}")
        else:
            added.append(file.name)
    if added:
        toasts.success(request, f"Added: {', '.join(added)}.")
    if refusals:
        return _panel(request, template, form, status=422, refusals=refusals)
    return _changed(request, template)


def _said_of_file(form: FilesForm) -> list[str]:
    return [str(error) for error in form.errors.get("file", ())]


def _octets_of(upload: Any) -> bytes:
    """Return what was uploaded, or enough of it to be refused."""
    content: bytes = upload.read(settings.MAILOPS_FILE_MB * 1_000_000 + 1)
    return content


def _keep_words(request: HttpRequest, template: MailTemplate) -> None:
    """Keep what was typed in the editor and comes along where there is no script."""
    if "html" in request.POST:
        desk.keep_typed(template, user_of(request), request.POST)


def _language(request: HttpRequest, template: MailTemplate) -> str:
    language = request.POST.get("language", "")
    return language if template.speaks(language) else ""


def _changed(request: HttpRequest, template: MailTemplate) -> HttpResponse:
    """Show the panel again; the editor's preview hears of it, and without script its page is loaded anew."""
    if wants_fragment(request):
        response = _panel(request, template, FilesForm())
        response["HX-Trigger-After-Settle"] = "files-changed"
        return response
    if "html" not in request.POST:
        return redirect("content:files", template.pk)
    return redirect(f"{address_of_editor(template, _language(request, template))}#files")


def _panel(
    request: HttpRequest,
    template: MailTemplate,
    form: FilesForm,
    *,
    status: int = 200,
    refusals: list[str] | None = None,
) -> HttpResponse:
    template.refresh_from_db()
    context = {
        "template": template,
        "panel": panel_of(template),
        "files_form": form,
        "refusals": refusals or [],
        "is_open": True,
    }
    return render_page(
        request, "content/template_files.html", context, fragment="files", status=status
    )


@needs(Act.AUTHOR)
@require_POST
def file_change(request: HttpRequest, template_id: int, file_id: int) -> HttpResponse:
    """Remove a file or bring it back, show it or attach it."""
    template = get_object_or_404(MailTemplate.objects.written(), pk=template_id)
    file = get_object_or_404(template.files.light(), pk=file_id)
    _keep_words(request, template)
    form = FileActForm(request.POST)
    if not form.is_valid():
        return _panel(request, template, FilesForm(), status=422, refusals=["Choose what to do."])
    try:
        _ACTS[form.cleaned_data["act"]](file, user_of(request))
    except RefusedFile as error:
        return _panel(request, template, FilesForm(), status=422, refusals=[str(error)])
    return _changed(request, template)


_ACTS: dict[str, Callable[[TemplateFile, Any], None]] = {
    FileActForm.REMOVE: lambda file, actor: enclosing.remove_file(file=file, actor=actor),
    FileActForm.UNDO: lambda file, actor: enclosing.bring_back(file=file, actor=actor),
    FileActForm.SHOW: lambda file, actor: enclosing.show_or_attach(
        file=file, is_inline=True, actor=actor
    ),
    FileActForm.ATTACH: lambda file, actor: enclosing.show_or_attach(
        file=file, is_inline=False, actor=actor
    ),
}


@needs(Act.AUTHOR)
@require_POST
def file_scan(request: HttpRequest, template_id: int) -> HttpResponse:
    """Ask the virus scanner about the files that it has not judged."""
    template = get_object_or_404(MailTemplate.objects.written(), pk=template_id)
    _keep_words(request, template)
    if not scanning.is_configured():
        refusal = "No virus scanner is configured (MAILOPS_CLAMAV)."
    else:
        refusal = enclosing.scan_again(template=template, actor=user_of(request))
    if refusal:
        return _panel(request, template, FilesForm(), status=422, refusals=[refusal])
    return _changed(request, template)


@needs(Act.SEE)
def file_download(request: HttpRequest, sha256: str) -> HttpResponse:
    """Give a file out to be saved: never to be shown, whatever it is."""
    content = _content(sha256)
    name = clean_name(request.GET.get("name", "")) or _a_name_of(sha256)
    disposition = content_disposition_header(as_attachment=True, filename=name)
    headers = _HARMLESS | {"Content-Disposition": disposition or "attachment"}
    return HttpResponse(content, content_type="application/octet-stream", headers=headers)


@needs(Act.SEE)
@cache_control(private=True, immutable=True, max_age=31_536_000)
def file_picture(_request: HttpRequest, sha256: str) -> HttpResponse:
    """Show a picture on a page of ours; it is known to be one."""
    name = _a_name_of(sha256)
    if not is_picture(name):
        raise Http404
    return HttpResponse(_content(sha256), content_type=content_type_of(name), headers=_HARMLESS)


def _content(sha256: str) -> bytes:
    found = get_object_or_404(FileContent, sha256=sha256, signature="")
    return bytes(found.content)


def _a_name_of(sha256: str) -> str:
    """Return a name that the file has in a draft or in a version."""
    used = (
        TemplateFile.objects.filter(content__sha256=sha256).values_list("name", flat=True).first()
    )
    if used:
        return str(used)
    version = TemplateVersion.objects.filter(files__contains=[{"sha256": sha256}]).first()
    names = [file["name"] for file in version.files if file["sha256"] == sha256] if version else []
    return str(names[0]) if names else "file"
