"""Addresses of the rollouts pages."""

from django.urls import path

from mailops.rollouts import launch_views, proof_views, views

app_name = "rollouts"

urlpatterns = [
    path("", views.checklist_list, name="list"),
    path("attention/", views.attention, name="attention"),
    path("streams/<int:stream_id>/", views.checklist_detail, name="detail"),
    path("checklists/<int:checklist_id>/probe/", views.checklist_probe, name="probe"),
    path("items/<int:item_id>/", views.item_detail, name="item"),
    path("items/<int:item_id>/sign/", views.item_sign, name="sign"),
    path("domains/<int:domain_id>/panel/", views.domain_panel, name="domain-panel"),
    path("streams/<int:stream_id>/prove/", proof_views.probe_send, name="prove"),
    path("streams/<int:stream_id>/probes/", proof_views.stream_probes, name="stream-probes"),
    path("probes/<int:probe_id>/", proof_views.probe_detail, name="mail-probe"),
    path("captured/<int:captured_id>/", proof_views.captured_verdict, name="captured-verdict"),
    path("campaigns/<int:campaign_id>/launch/", launch_views.campaign_launch, name="launch"),
    path(
        "campaigns/<int:campaign_id>/panel/",
        launch_views.campaign_launch_panel,
        name="campaign-launch-panel",
    ),
]
