"""All addresses of mailops; each app owns what is below its prefix."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("", include("mailops.reports.urls")),
    path("campaigns/", include("mailops.campaigns.urls")),
    path("templates/", include("mailops.content.urls")),
    path("audiences/", include("mailops.audiences.urls")),
    path("domains/", include("mailops.domains.urls")),
    path("transports/", include("mailops.transports.urls")),
    path("messages/", include("mailops.outbox.urls")),
    path("dispatch/", include("mailops.dispatch.urls")),
    path("suppressions/", include("mailops.suppressions.urls")),
    path("incidents/", include("mailops.incidents.urls")),
    path("rollouts/", include("mailops.rollouts.urls")),
    path("sandbox/", include("mailops.sandbox.urls")),
    path("feedback/", include("mailops.feedback.urls")),
    path("settings/", include("mailops.accounts.urls")),
    path("", include("mailops.installation.urls")),
]
