"""Addresses of the dispatch pages."""

from django.urls import path

from mailops.dispatch import views

app_name = "dispatch"

urlpatterns = [
    path("transports/<int:transport_id>/", views.transport_panel, name="transport-panel"),
    path("credentials/<int:credential_id>/", views.credential_panel, name="credential-panel"),
    path("campaigns/<int:campaign_id>/", views.campaign_panel, name="campaign-panel"),
    path("messages/<uuid:public_id>/", views.message_panel, name="message-panel"),
    path("pressures/<int:pressure_id>/end/", views.pressure_end, name="pressure-end"),
    path("crowdings/<int:crowding_id>/end/", views.crowding_end, name="crowding-end"),
]
