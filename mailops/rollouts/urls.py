"""Addresses of the rollouts pages."""

from django.urls import URLPattern, URLResolver

app_name = "rollouts"

urlpatterns: list[URLPattern | URLResolver] = []
