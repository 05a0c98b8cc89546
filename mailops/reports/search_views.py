"""The search, as a page and for the palette."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from mailops.accounts.permissions import Act, needs
from mailops.lib.htmx import render_page
from mailops.reports.forms import SearchForm
from mailops.reports.searching import search as find


@needs(Act.SEE)
def search(request: HttpRequest) -> HttpResponse:
    form = SearchForm(request.GET)
    found = find(form.cleaned_data["q"]) if form.is_valid() else []
    return render_page(
        request,
        "reports/search.html",
        {"form": form, "found": found},
        fragment="found",
        status=200 if form.is_valid() else 422,
    )


@needs(Act.SEE)
def search_json(request: HttpRequest) -> HttpResponseBase:
    """Answer the palette."""
    form = SearchForm(request.GET)
    if not form.is_valid():
        return JsonResponse({"results": []}, status=422)
    results = [
        {"label": one.label, "url": one.url, "kind": one.kind}
        for one in find(form.cleaned_data["q"])
        if one.url
    ]
    return JsonResponse({"results": results})
