"""Addresses of the message pages."""

from django.urls import path

from mailops.outbox import (
    campaign_views,
    doubtful_views,
    relay_log_views,
    resending_views,
    views,
    waiting_views,
)

app_name = "outbox"

urlpatterns = [
    path("", views.message_list, name="list"),
    path("export/", views.message_export, name="export"),
    path("test-send/", views.test_send, name="test-send"),
    path("send-again/", resending_views.resend, name="resend"),
    path("send-again/<int:resending_id>/", resending_views.resending_detail, name="resending"),
    path(
        "send-again/<int:resending_id>/stop/",
        resending_views.resending_stop,
        name="resending-stop",
    ),
    path("uncertain/", doubtful_views.doubtful_list, name="doubtful"),
    path("uncertain/export/", doubtful_views.doubtful_export, name="doubtful-export"),
    path("uncertain/settle/", doubtful_views.settle_many, name="settle-many"),
    path(
        "uncertain/settlements/<int:settlement_id>/",
        doubtful_views.settlement_detail,
        name="settlement",
    ),
    path(
        "uncertain/settlements/<int:settlement_id>/stop/",
        doubtful_views.settlement_stop,
        name="settlement-stop",
    ),
    path("uncertain/logs/", relay_log_views.relay_log_upload, name="relay-log-upload"),
    path("uncertain/logs/<int:log_id>/", relay_log_views.relay_log_detail, name="relay-log"),
    path(
        "uncertain/logs/<int:log_id>/export/",
        relay_log_views.relay_log_export,
        name="relay-log-export",
    ),
    path(
        "uncertain/logs/<int:log_id>/settle/",
        relay_log_views.relay_log_settle,
        name="relay-log-settle",
    ),
    path(
        "campaigns/<int:campaign_id>/cancel/",
        campaign_views.campaign_cancel,
        name="campaign-cancel",
    ),
    path(
        "campaigns/<int:campaign_id>/resume/",
        campaign_views.campaign_resume,
        name="campaign-resume",
    ),
    path(
        "campaigns/<int:campaign_id>/retry/", campaign_views.campaign_retry, name="campaign-retry"
    ),
    path(
        "campaigns/<int:campaign_id>/sending-again/",
        campaign_views.campaign_resending,
        name="campaign-resending",
    ),
    path(
        "campaigns/<int:campaign_id>/failures/",
        campaign_views.campaign_failures,
        name="campaign-failures",
    ),
    path(
        "campaigns/<int:campaign_id>/doubt/", doubtful_views.campaign_doubt, name="campaign-doubt"
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
