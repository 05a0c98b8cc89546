"""Addresses of the transports pages."""

from django.urls import URLPattern, URLResolver

app_name = "transports"

urlpatterns: list[URLPattern | URLResolver] = []
