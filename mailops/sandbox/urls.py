"""Addresses of the sandbox pages."""

from django.urls import path

from mailops.sandbox import views

app_name = "sandbox"

urlpatterns = [
    path("", views.inbox_list, name="list"),
    path("simulator/", views.simulator, name="simulator"),
    path("inboxes/<int:inbox_id>/", views.inbox, name="inbox"),
    path("inboxes/<int:inbox_id>/news/", views.inbox_news, name="inbox-news"),
    path("inboxes/<int:inbox_id>/delete/", views.inbox_delete, name="inbox-delete"),
    path("messages/<int:message_id>/", views.message, name="message"),
    path("messages/<int:message_id>/html/", views.message_html, name="message-html"),
    path("messages/<int:message_id>/source/", views.message_source, name="message-source"),
    path(
        "messages/<int:message_id>/attachments/<int:number>/", views.attachment, name="attachment"
    ),
]
