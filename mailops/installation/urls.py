"""The addresses that tell whether this installation is well."""

from django.urls import path

from mailops.installation import views

app_name = "installation"

urlpatterns = [
    path("healthz/", views.health, name="health"),
    path("healthz/watch/", views.watched, name="watched"),
]
