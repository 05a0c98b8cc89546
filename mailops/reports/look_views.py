"""Who opened and clicked, and which links: of a campaign, and of a stream's last days."""

from datetime import UTC
from typing import Any

from django.http import HttpRequest, HttpResponse

from mailops.accounts.permissions import Act, needs
from mailops.lib.htmx import polled_status, render_page
from mailops.reports.looking import looked
from mailops.reports.subjects import find_subject
from mailops.reports.views import lately
from mailops.tracking.counting import top_links


@needs(Act.SEE)
def looks(request: HttpRequest, /, **column_and_value: Any) -> HttpResponse:
    subject = find_subject(column_and_value)
    period = lately(subject)
    # days of looks are UTC's; of a campaign all are told, however late somebody looked
    since = None if "campaign_id" in column_and_value else period.start.astimezone(UTC).date()
    context = {
        "subject": subject,
        "period": period,
        "looks": looked(period, subject.choices),
        "links": top_links(since=since, **column_and_value),
    }
    status = polled_status(request, goes_on=not subject.is_over)
    return render_page(request, "reports/looks.html", context, fragment="looks", status=status)
