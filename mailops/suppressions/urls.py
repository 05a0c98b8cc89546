"""Addresses of the suppressions pages."""

from django.urls import URLPattern, URLResolver

app_name = "suppressions"

urlpatterns: list[URLPattern | URLResolver] = []
