"""Addresses of the message pages."""

from django.urls import path

from mailops.outbox import campaign_views, views, waiting_views

app_name = "outbox"

urlpatterns = [
    path("", views.message_list, name="list"),
    path("export/", views.message_export, name="export"),
    path("test-send/", views.test_send, name="test-send"),
    path(
        "campaigns/<int:campaign_id>/cancel/",
        campaign_views.campaign_cancel,
        name="campaign-cancel",
    ),
    path(
        "campaigns/<int:campaign_id>/retry/", campaign_views.campaign_retry, name="campaign-retry"
    ),
    path(
        "campaigns/<int:campaign_id>/failures/",
        campaign_views.campaign_failures,
        name="campaign-failures",
    ),
    path("streams/<int:stream_id>/waiting/", waiting_views.stream_panel, name="stream-panel"),
    path(
        "transports/<int:transport_id>/waiting/",
        waiting_views.transport_panel,
        name="transport-panel",
    ),
    path("<uuid:public_id>/", views.message_detail, name="detail"),
    path("<uuid:public_id>/html/", views.message_html, name="html"),
    path("<uuid:public_id>/hold/", views.message_hold, name="hold"),
    path("<uuid:public_id>/release/", views.message_release, name="release"),
    path("<uuid:public_id>/settle/", views.message_settle, name="settle"),
    path("<uuid:public_id>/retry/", views.message_retry, name="retry"),
]
