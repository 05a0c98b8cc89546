"""Addresses of the dispatch pages."""

from django.urls import URLPattern, URLResolver

app_name = "dispatch"

urlpatterns: list[URLPattern | URLResolver] = []
