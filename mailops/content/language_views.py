"""The languages of a template: which it has, and one more."""

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, needs, user_of
from mailops.content import drafting
from mailops.content.forms import VariantForm
from mailops.content.models import MailTemplate
from mailops.content.showing import address_of_editor
from mailops.lib.htmx import render_page


@needs(Act.AUTHOR)
def variant_list(request: HttpRequest, template_id: int) -> HttpResponse:
    template = get_object_or_404(MailTemplate.objects.written(), pk=template_id)
    form = VariantForm(
        request.POST if request.method == "POST" else None,
        initial={"language": request.GET.get("language", "")},
    )
    if request.method == "POST" and form.is_valid():
        try:
            variant = drafting.add_language(
                template=template, actor=user_of(request), **form.cleaned_data
            )
        except drafting.HasLanguage as error:
            form.add_error("language", str(error))
        else:
            toasts.success(request, "It begins with the template's own words.")
            return redirect(address_of_editor(template, variant.language))
    return render_page(
        request,
        "content/template_languages.html",
        {
            "template": template,
            "variants": template.variants.order_by("language"),
            "form": form,
        },
        status=422 if form.errors else 200,
    )


@needs(Act.AUTHOR)
@require_POST
def variant_delete(request: HttpRequest, template_id: int, language: str) -> HttpResponse:
    template = get_object_or_404(MailTemplate.objects.written(), pk=template_id)
    if drafting.remove_language(template=template, language=language, actor=user_of(request)):
        toasts.success(request, "Its words are gone from the draft; versions keep theirs.")
    else:
        toasts.info(request, f"Nothing was removed: it has no further words in “{language}”.")
    return redirect("content:languages", template.pk)
