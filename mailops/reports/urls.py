"""Addresses of the reports and of the home page."""

from django.urls import path

from mailops.reports import look_views, objective_views, overview_views, search_views, views

app_name = "reports"

urlpatterns = [
    path("", overview_views.overview, name="overview"),
    path("matters/", overview_views.needing, name="matters"),
    path("running/", overview_views.running, name="running"),
    path("reports/", views.report, name="reports"),
    path("reports/export/", views.export, name="export"),
    path("reports/export-split/", views.export_split, name="export-split"),
    path("reports/domains/<int:domain_id>/", views.report, name="domain"),
    path("reports/domains/<int:domain_id>/panel/", views.panel, name="domain-panel"),
    path("reports/streams/<int:stream_id>/", views.report, name="stream"),
    path("reports/streams/<int:stream_id>/panel/", views.panel, name="stream-panel"),
    path("reports/transports/<int:transport_id>/", views.report, name="transport"),
    path("reports/transports/<int:transport_id>/panel/", views.panel, name="transport-panel"),
    path("reports/campaigns/<int:campaign_id>/", views.report, name="campaign"),
    path("reports/campaigns/<int:campaign_id>/panel/", views.panel, name="campaign-panel"),
    path("reports/providers/<str:mailbox_provider>/", views.report, name="provider"),
    path(
        "reports/campaigns/<int:campaign_id>/progress/",
        overview_views.campaign_progress,
        name="campaign-progress",
    ),
    path("reports/campaigns/<int:campaign_id>/looks/", look_views.looks, name="campaign-looks"),
    path("reports/streams/<int:stream_id>/looks/", look_views.looks, name="stream-looks"),
    path("reports/objectives/", objective_views.objectives, name="objectives"),
    path(
        "reports/streams/<int:stream_id>/objective/",
        objective_views.objective_form,
        name="objective",
    ),
    path(
        "reports/streams/<int:stream_id>/objective/panel/",
        objective_views.objective_panel,
        name="objective-panel",
    ),
    path("search/", search_views.search, name="search"),
    path("search.json", search_views.search_json, name="search-json"),
]
