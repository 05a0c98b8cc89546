"""Addresses of the campaign pages."""

from django.urls import path

from mailops.campaigns import act_views, views

app_name = "campaigns"

urlpatterns = [
    path("", views.campaign_list, name="list"),
    path("campaigns.csv", views.campaign_export, name="export"),
    path("new/", views.campaign_add, name="add"),
    path("<int:campaign_id>/", views.campaign_detail, name="detail"),
    path("<int:campaign_id>/edit/", views.campaign_edit, name="edit"),
    path("<int:campaign_id>/delete/", act_views.campaign_delete, name="delete"),
    path("<int:campaign_id>/duplicate/", act_views.campaign_duplicate, name="duplicate"),
    path("<int:campaign_id>/preflight/", act_views.campaign_preflight, name="preflight"),
    path("<int:campaign_id>/pause/", act_views.campaign_pause, name="pause"),
    path("<int:campaign_id>/schedule/", act_views.campaign_schedule, name="schedule"),
    path("<int:campaign_id>/hours/", act_views.campaign_hours, name="hours"),
    path("<int:campaign_id>/unschedule/", act_views.campaign_unschedule, name="unschedule"),
]
