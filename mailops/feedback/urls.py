"""Addresses of the feedback pages, of the unsubscribe page and of providers' webhooks."""

from django.urls import URLPattern, URLResolver, path

from mailops.feedback import mailbox_views, public_views, report_views, views

app_name = "feedback"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.feedback_list, name="list"),
    path("export.csv", views.feedback_export, name="export"),
    path("<int:feedback_id>/", views.feedback_detail, name="detail"),
    path("<int:feedback_id>/source", views.feedback_source, name="source"),
    path("<int:feedback_id>/replay/", views.feedback_replay, name="replay"),
    path("<int:feedback_id>/confirm/", views.feedback_confirm, name="confirm"),
    path("reports/", report_views.report_list, name="reports"),
    path("reports/<int:domain_id>/", report_views.report_detail, name="reports-of"),
    path("mailboxes/", mailbox_views.mailbox_list, name="mailboxes"),
    path("mailboxes/add/", mailbox_views.mailbox_add, name="mailbox-add"),
    path("mailboxes/<int:mailbox_id>/", mailbox_views.mailbox_detail, name="mailbox"),
    path("mailboxes/<int:mailbox_id>/edit/", mailbox_views.mailbox_edit, name="mailbox-edit"),
    path("mailboxes/<int:mailbox_id>/test/", mailbox_views.mailbox_test, name="mailbox-test"),
    path("mailboxes/<int:mailbox_id>/delete/", mailbox_views.mailbox_delete, name="mailbox-delete"),
    path("webhooks/", views.webhook_list, name="webhooks"),
    path("webhooks/of/<int:transport_id>/", views.webhook_detail, name="webhook-of"),
    path("webhooks/of/<int:transport_id>/key/", views.webhook_key, name="webhook-key"),
    path("webhooks/of/<int:transport_id>/renew/", views.webhook_renew, name="webhook-renew"),
    path("webhooks/<str:secret>/", public_views.webhook, name="webhook"),
    path("unsubscribe/<str:token>/", public_views.unsubscribe_page, name="unsubscribe"),
    # where a program lost the slash: a redirect would make a GET of its POST (RFC 8058, 3.1)
    path("unsubscribe/<str:token>", public_views.unsubscribe_page, name="unsubscribe-bare"),
]
