"""The pages of checklists."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, needs, user_of
from mailops.domains.models import Domain
from mailops.lib.htmx import render_page
from mailops.lib.whole_numbers import whole_number
from mailops.rollouts.captured import in_use
from mailops.rollouts.forms import SignForm
from mailops.rollouts.models import Checklist, ChecklistItem, ChecklistQuerySet, Override
from mailops.rollouts.probing import AnotherInUse, MovedOn, NoneInUse, probe, sign
from mailops.rollouts.timeline import status_chart
from mailops.transports.models import Stream

PAGE = 50
LACKING = 5  # shown beside the overview; the lists hold the others


def _current() -> ChecklistQuerySet:
    return Checklist.objects.current().select_related("stream", "domain").with_numbers()


@needs(Act.SEE)
def checklist_list(request: HttpRequest) -> HttpResponse:
    production = _current().filter(plan=Checklist.Plan.PRODUCTION)
    context = {
        "page": Paginator(production, PAGE).get_page(request.GET.get("page")),
        "overrides": Override.objects.select_related("campaign", "stream").order_by("-at")[:10],
    }
    return render_page(request, "rollouts/checklist_list.html", context)


@needs(Act.SEE)
def attention(request: HttpRequest) -> HttpResponse:
    """Show what doesn't hold although mail goes out: a panel for the overview, and a page of its own."""
    sending = Checklist.objects.current().of_sending_streams()
    lacking = (
        ChecklistItem.objects.filter(checklist__in=sending.filter(plan=Checklist.Plan.PRODUCTION))
        .exclude(state=ChecklistItem.State.HOLDS)
        .select_related("checklist__stream", "checklist__domain")
        .order_by("checklist__stream__name", "checklist_id", "number")
    )
    n = lacking.count()
    context = {"items": lacking[:LACKING], "more": n - LACKING, "is_sending": n or sending.exists()}
    return render_page(request, "rollouts/attention.html", context, fragment="lacking")


@needs(Act.SEE)
def checklist_detail(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream.objects.select_related("domain", "owner"), pk=stream_id)
    wanted = request.GET.get("list", Checklist.Plan.PRODUCTION)
    if wanted not in Checklist.Plan.values:
        raise Http404
    checklist = _current().filter(stream=stream, plan=wanted).first()
    if checklist is None:
        return render_page(request, "rollouts/checklist_awaited.html", {"stream": stream})
    items = list(checklist.items.order_by("number"))
    for item in items:
        item.checklist = checklist
    context = {
        "stream": stream,
        "checklist": checklist,
        "items": items,
        "chart": status_chart(checklist),
        "overrides": stream.overrides.select_related("campaign").order_by("-at")[:20],
        "lists": [(value, label, value == wanted) for value, label in Checklist.Plan.choices],
    }
    return render_page(request, "rollouts/checklist_detail.html", context)


@require_POST
@needs(Act.SEE, to_change=Act.OPERATE)
def checklist_probe(request: HttpRequest, checklist_id: int) -> HttpResponse:
    checklist = get_object_or_404(Checklist.objects.select_related("stream"), pk=checklist_id)
    try:
        probe(checklist, actor=user_of(request))
    except MovedOn as refusal:
        messages.error(request, str(refusal))
        return redirect(_address(checklist))
    items = list(checklist.items.all())
    holding = sum(item.holds for item in items)
    messages.success(request, f"{holding} of {len(items)} items hold.")
    return redirect(_address(checklist))


def _address(checklist: Checklist) -> str:
    address = reverse("rollouts:detail", args=[checklist.stream_id])
    return f"{address}?list={checklist.plan}"


@needs(Act.SEE)
def item_detail(request: HttpRequest, item_id: int) -> HttpResponse:
    item = _item(item_id)
    evidence = item.evidence.select_related("signed_by").order_by("-last_at", "-id")
    page = Paginator(evidence, PAGE).get_page(request.GET.get("page"))
    context = {"item": item, "page": page, "back": _address(item.checklist)}
    return render_page(request, "rollouts/item_detail.html", context)


def _item(item_id: int) -> ChecklistItem:
    return get_object_or_404(
        ChecklistItem.objects.select_related("checklist__stream", "checklist__domain"), pk=item_id
    )


@needs(Act.SIGN)
def item_sign(request: HttpRequest, item_id: int) -> HttpResponse:
    item = _item(item_id)
    if not item.may_be_signed:
        raise Http404
    if request.method != "POST" and not item.checklist.is_current:
        return redirect("rollouts:item", item.pk)  # which says that it is history
    form = SignForm(request.POST if request.method == "POST" else None, asked=item.asked)
    if form.is_valid():
        given = map(whole_number, request.POST.get("seen", "").split())
        seen = [pk for pk in given if pk is not None]
        note = form.cleaned_data["note"]
        try:
            sign(item, actor=user_of(request), note=note, lasts=form.lasts, seen=seen)
        except (AnotherInUse, NoneInUse, MovedOn) as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"You signed “{item.title}”.")
            return redirect(_address(item.checklist))
    versions = [use.version for use in in_use(item.checklist.stream)]
    context = {
        "form": form,
        "item": item,
        "back": _address(item.checklist),
        "versions": versions if item.asked.by_version else [],
    }
    status = 422 if form.is_bound else 200
    return render_page(request, "rollouts/item_sign.html", context, status=status)


@needs(Act.SEE)
def domain_panel(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    checklists = _current().filter(domain=domain, plan=Checklist.Plan.PRODUCTION)
    is_awaited = domain.streams.exists()
    context = {"domain": domain, "checklists": checklists, "is_awaited": is_awaited}
    return render_page(request, "rollouts/domain_panel.html", context, fragment="domain-checklists")
