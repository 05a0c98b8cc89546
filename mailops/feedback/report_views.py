"""The pages of DMARC and TLS reports: who sends in each domain's name, and whether p=reject is safe."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from mailops.accounts.permissions import Act, needs
from mailops.domains.models import Domain
from mailops.feedback.domain_reports import verdict_of
from mailops.feedback.models import AggregateReport
from mailops.lib.htmx import render_page

SHOWN = 20


@needs(Act.SEE)
def report_list(request: HttpRequest) -> HttpResponse:
    verdicts = [verdict_of(domain) for domain in Domain.objects.order_by("name")[:100]]
    return render_page(
        request,
        "feedback/report_list.html",
        {
            "verdicts": sorted(verdicts, key=lambda one: (one.is_safe, -one.total)),
            "host": settings.MAILOPS_RETURN_PATH_HOST,
        },
    )


@needs(Act.SEE)
def report_detail(request: HttpRequest, domain_id: int) -> HttpResponse:
    domain = get_object_or_404(Domain, id=domain_id)
    reports = AggregateReport.objects.filter(domain=domain).order_by("-ends_at")
    return render_page(
        request,
        "feedback/report_detail.html",
        {
            "domain": domain,
            "verdict": verdict_of(domain),
            "reports": list(reports.filter(kind=AggregateReport.Kind.DMARC)[:SHOWN]),
            "tls_reports": list(reports.filter(kind=AggregateReport.Kind.TLS)[:SHOWN]),
            "host": settings.MAILOPS_RETURN_PATH_HOST,
        },
    )
