"""The pages on providers' own suppression lists: which are kept in step with ours, and what is wrong."""

from django.contrib import messages as toasts
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.lib.htmx import render_page
from mailops.suppressions.keeping_in_step import ask_again, begin, end
from mailops.suppressions.models import ProviderRemoval, ProviderSync
from mailops.suppressions.provider_lists import LISTS, NO_LIST
from mailops.transports.kinds.apis import APIS
from mailops.transports.models import Transport

SHOWN = 20  # refused removals on the page


@needs(Act.SEE)
def sync_list(request: HttpRequest) -> HttpResponse:
    transports = Transport.objects.exclude(kind=Transport.Kind.SMTP).order_by("name")
    refused = Count("removals", filter=~Q(removals__refusal=""))
    syncs = {one.transport_id: one for one in ProviderSync.objects.annotate(refused=refused)}
    rows = [(one, syncs.get(one.pk), NO_LIST.get(one.kind, "")) for one in transports]
    return render_page(request, "suppressions/sync_list.html", {"rows": rows})


@needs(Act.SEE)
def sync_panel(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = _transport(transport_id)
    sync = ProviderSync.objects.filter(transport=transport).first()
    context = {
        "transport": transport,
        "sync": sync,
        "api": APIS[transport.kind],
        "missing": NO_LIST.get(transport.kind, ""),
        "lists": [one.name for one in LISTS[transport.kind].lists]
        if transport.kind in LISTS
        else [],
        "right": LISTS[transport.kind].right if transport.kind in LISTS else "",
        "waiting": ProviderRemoval.objects.filter(sync=sync, done_at=None).count() if sync else 0,
        "refused": _refused(sync) if sync else [],
    }
    return render_page(request, "suppressions/sync_panel.html", context, fragment="provider-list")


@needs(Act.CONFIGURE)
@confirm_password
@require_POST
def sync_begin(request: HttpRequest, transport_id: int) -> HttpResponse:
    transport = _transport(transport_id)
    if transport.kind not in LISTS:
        raise Http404
    begin(transport=transport, actor=user_of(request))
    toasts.success(request, f"The suppression list of {transport} is read from now on.")
    return redirect("suppressions:sync", transport_id)


@needs(Act.OPERATE)
@require_POST
def sync_now(request: HttpRequest, transport_id: int) -> HttpResponse:
    sync = get_object_or_404(ProviderSync, transport_id=transport_id)
    ask_again(sync=sync, actor=user_of(request))
    toasts.success(request, "It is asked within the minute.")
    return redirect("suppressions:sync", transport_id)


@needs(Act.CONFIGURE)
@confirm_password
def sync_end(request: HttpRequest, transport_id: int) -> HttpResponse:
    sync = get_object_or_404(
        ProviderSync.objects.select_related("transport"), transport_id=transport_id
    )
    if request.method == "POST":
        end(sync=sync, actor=user_of(request))
        toasts.success(request, f"The suppression list of {sync.transport} is left alone.")
        return redirect("suppressions:sync", transport_id)
    return render_page(request, "suppressions/sync_confirm_end.html", {"sync": sync})


def _refused(sync: ProviderSync) -> list[ProviderRemoval]:
    """Return the latest addresses that the provider keeps on its list, though a person took them off ours."""
    return list(sync.removals.exclude(refusal="").order_by("-done_at")[:SHOWN])


def _transport(transport_id: int) -> Transport:
    return get_object_or_404(Transport.objects.exclude(kind=Transport.Kind.SMTP), pk=transport_id)
