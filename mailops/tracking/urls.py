"""Short addresses for what stands in mail; each recipient has their own."""

from django.urls import URLPattern, URLResolver, path

from mailops.tracking import public_views, views

app_name = "tracking"

urlpatterns: list[URLPattern | URLResolver] = [
    path("looks/<uuid:public_id>/", views.message_looks, name="message-looks"),
    path("l/<str:token>", public_views.click, name="click"),
    path("o/<str:token>", public_views.picture, name="open"),
]
