"""Addresses of the incidents pages."""

from django.urls import path

from mailops.incidents import configuration_views, views

app_name = "incidents"

urlpatterns = [
    path("", views.incident_list, name="list"),
    path("export/", views.incident_export, name="export"),
    path("attention/", views.attention, name="attention"),
    path("campaigns/<int:campaign_id>/", views.panel, name="campaign-panel"),
    path("streams/<int:stream_id>/", views.panel, name="stream-panel"),
    path("transports/<int:transport_id>/", views.panel, name="transport-panel"),
    path("domains/<int:domain_id>/", views.panel, name="domain-panel"),
    path("providers/<str:mailbox_provider>/", views.panel, name="provider-panel"),
    path("<int:incident_id>/", views.incident_detail, name="detail"),
    path("<int:incident_id>/acknowledge/", views.press, {"act": "acknowledge"}, name="acknowledge"),
    path("<int:incident_id>/assign/", views.fill, {"act": "assign"}, name="assign"),
    path("<int:incident_id>/note/", views.fill, {"act": "note"}, name="note"),
    path("<int:incident_id>/pause/", views.press, {"act": "pause"}, name="pause"),
    path("<int:incident_id>/resume/", views.press, {"act": "resume"}, name="resume"),
    path("<int:incident_id>/close/", views.fill, {"act": "close"}, name="close"),
    path("thresholds/", configuration_views.threshold_list, name="thresholds"),
    path("thresholds/<int:threshold_id>/", configuration_views.threshold_edit, name="threshold"),
    path("channels/", configuration_views.channel_list, name="channels"),
    path("channels/add/<slug:kind>/", configuration_views.channel_add, name="channel-add"),
    path("channels/<int:channel_id>/", configuration_views.channel_edit, name="channel"),
    path(
        "channels/<int:channel_id>/delete/",
        configuration_views.channel_delete,
        name="channel-delete",
    ),
    path("channels/<int:channel_id>/test/", configuration_views.channel_test, name="channel-test"),
]
