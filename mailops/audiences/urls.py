"""Addresses of the audiences pages."""

from django.urls import URLPattern, URLResolver

app_name = "audiences"

urlpatterns: list[URLPattern | URLResolver] = []
