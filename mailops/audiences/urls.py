"""Addresses of the audiences pages."""

from django.urls import path

from mailops.audiences import contact_views, import_views, views

app_name = "audiences"

urlpatterns = [
    path("", views.audience_list, name="list"),
    path("new/", views.audience_add, name="add"),
    path("<int:audience_id>/", views.audience_detail, name="detail"),
    path("<int:audience_id>/edit/", views.audience_edit, name="edit"),
    path("<int:audience_id>/delete/", views.audience_delete, name="delete"),
    path("<int:audience_id>/members.csv", views.audience_export, name="export"),
    path("<int:audience_id>/members/new/", contact_views.member_add, name="member-add"),
    path("<int:audience_id>/imports/", import_views.import_list, name="imports"),
    path("<int:audience_id>/import/", import_views.import_upload, name="import"),
    path("members/<int:membership_id>/remove/", contact_views.member_remove, name="member-remove"),
    path("contacts/<int:contact_id>/", contact_views.contact_detail, name="contact"),
    path("contacts/<int:contact_id>/edit/", contact_views.contact_edit, name="contact-edit"),
    path("imports/<int:run_id>/", import_views.import_detail, name="import-detail"),
    path("imports/<int:run_id>/columns/", import_views.import_map, name="import-map"),
    path("imports/<int:run_id>/stop/", import_views.import_stop, name="import-stop"),
    path("imports/<int:run_id>/rows.csv", import_views.import_remarks, name="import-remarks"),
]
