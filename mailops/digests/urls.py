"""Addresses of the weekly digest."""

from django.urls import path

from mailops.digests import public_views, views

app_name = "digests"

urlpatterns = [
    path("", views.mine, name="mine"),
    path("panel/", views.panel, name="panel"),
    path("switch/", views.switch, name="switch"),
    path("send/", views.send_now, name="send"),
    path("preview/", views.preview, name="preview"),
    path("preview/mail/", views.preview_mail, name="preview-mail"),
    path("way/", views.way, name="way"),
    path("leave/<str:token>/", public_views.leave, name="leave"),
    # where a program lost the slash: a redirect would make a GET of its POST (RFC 8058, 3.1)
    path("leave/<str:token>", public_views.leave, name="leave-bare"),
]
