"""Addresses of the reports and of the home page."""

from django.urls import path

from mailops.reports import overview_views, views

app_name = "reports"

urlpatterns = [
    path("", overview_views.overview, name="overview"),
    path("running/", overview_views.running, name="running"),
    path("reports/", views.reports, name="reports"),
    path("reports/export/", views.export, name="export"),
    path("reports/export-split/", views.export_split, name="export-split"),
    path(
        "reports/campaigns/<int:campaign_id>/progress/",
        overview_views.campaign_progress,
        name="campaign-progress",
    ),
    path("search/", views.search, name="search"),
    path("search.json", views.search_json, name="search-json"),
]
