"""The panel of a domain's page that crosses its streams with their transports."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from mailops.accounts.permissions import Act, needs
from mailops.domains.models import Domain
from mailops.lib.htmx import render_page
from mailops.transports.alignment import crossings_of


@needs(Act.SEE)
def domain_panel(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id)
    context = {"domain": domain, "rows": crossings_of(domain, domain.streams.all())}
    return render_page(request, "transports/alignment.html", context, fragment="alignment")
