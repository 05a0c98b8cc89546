"""Addresses of the suppression pages."""

from django.urls import path

from mailops.suppressions import views

app_name = "suppressions"

urlpatterns = [
    path("", views.suppression_list, name="list"),
    path("export/", views.suppression_export, name="export"),
    path("add/", views.suppression_add, name="add"),
    path("<int:suppression_id>/remove/", views.suppression_remove, name="remove"),
    path("imports/", views.import_new, name="imports"),
    path("imports/<int:run_id>/", views.import_detail, name="import"),
    path("imports/<int:run_id>/export/", views.import_export, name="import-export"),
]
