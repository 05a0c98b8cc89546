"""Short addresses for what stands in mail; each recipient has their own."""

from django.urls import URLPattern, URLResolver, path

from mailops.tracking import public_views

app_name = "tracking"

urlpatterns: list[URLPattern | URLResolver] = [
    path("l/<str:token>", public_views.click, name="click"),
    path("o/<str:token>", public_views.picture, name="open"),
]
