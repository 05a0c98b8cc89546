"""Addresses of the accounts pages."""

from django.urls import path

from mailops.accounts import views

app_name = "accounts"

urlpatterns = [
    path("", views.settings_page, name="settings"),
    path("palette.json", views.palette, name="palette"),
    path("profile/", views.profile, name="profile"),
    path("log-out-elsewhere/", views.log_out_elsewhere, name="log-out-elsewhere"),
    path("users/", views.user_list, name="users"),
    path("users/new/", views.user_new, name="user-new"),
    path("users/<int:user_id>/", views.user_detail, name="user"),
    path("users/<int:user_id>/link/", views.user_link, name="user-link"),
    path("users/<int:user_id>/second-factor/", views.user_second_factor, name="user-second-factor"),
    path("users/<int:user_id>/deactivate/", views.user_deactivate, name="user-deactivate"),
    path("users/<int:user_id>/reactivate/", views.user_reactivate, name="user-reactivate"),
    path("audit/", views.audit_trail, name="audit"),
    path("audit.csv", views.audit_csv, name="audit-csv"),
]
