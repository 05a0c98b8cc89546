"""Addresses of the domains pages."""

from django.urls import path

from mailops.domains import key_views, views

app_name = "domains"

urlpatterns = [
    path("", views.domain_list, name="list"),
    path("export/", views.domain_export, name="export"),
    path("add/", views.domain_add, name="add"),
    path("<int:domain_id>/", views.domain_detail, name="detail"),
    path("<int:domain_id>/history/", views.domain_history, name="history"),
    path("<int:domain_id>/keys/", key_views.key_list, name="keys"),
    path("<int:domain_id>/keys/make/", key_views.key_make, name="key-make"),
    path("keys/<int:key_id>/look/", key_views.key_look, name="key-look"),
    path("keys/<int:key_id>/begin/", key_views.key_begin, name="key-begin"),
    path("keys/<int:key_id>/stop/", key_views.key_stop, name="key-stop"),
    path("keys/<int:key_id>/discard/", key_views.key_discard, name="key-discard"),
    path("<int:domain_id>/verify/", views.domain_verify, name="verify"),
    path("<int:domain_id>/edit/", views.domain_edit, name="edit"),
    path("<int:domain_id>/delete/", views.domain_delete, name="delete"),
    path("<int:domain_id>/identities/add/", views.identity_add, name="identity-add"),
    path("identities/<int:identity_id>/delete/", views.identity_delete, name="identity-delete"),
    path("<int:domain_id>/expect/", views.requirement_add, name="requirement-add"),
    path(
        "expected/<int:requirement_id>/delete/", views.requirement_delete, name="requirement-delete"
    ),
]
