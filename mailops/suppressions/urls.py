"""Addresses of the suppression pages."""

from django.urls import path

from mailops.suppressions import sync_views, taking_back_views, views

app_name = "suppressions"

urlpatterns = [
    path("", views.suppression_list, name="list"),
    path("export/", views.suppression_export, name="export"),
    path("add/", views.suppression_add, name="add"),
    path("<int:suppression_id>/remove/", views.suppression_remove, name="remove"),
    path("providers/", sync_views.sync_list, name="syncs"),
    path("providers/<int:transport_id>/", sync_views.sync_panel, name="sync"),
    path("providers/<int:transport_id>/begin/", sync_views.sync_begin, name="sync-begin"),
    path("providers/<int:transport_id>/now/", sync_views.sync_now, name="sync-now"),
    path("providers/<int:transport_id>/end/", sync_views.sync_end, name="sync-end"),
    path("imports/", views.import_new, name="imports"),
    path("imports/<int:run_id>/", views.import_detail, name="import"),
    path("imports/<int:run_id>/stop/", views.import_stop, name="import-stop"),
    path("imports/<int:run_id>/take-back/", taking_back_views.take_back, name="take-back"),
    path(
        "imports/<int:run_id>/take-back/stop/",
        taking_back_views.take_back_stop,
        name="take-back-stop",
    ),
    path("imports/<int:run_id>/export/", views.import_export, name="import-export"),
]
