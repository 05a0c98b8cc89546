"""Addresses of the pages of signatures."""

from django.urls import path

from mailops.signatures import teaching_views, views

app_name = "signatures"

urlpatterns = [
    path("", views.signature_list, name="list"),
    path("export/", views.signature_export, name="export"),
    path("panel/", views.signature_panel, name="panel"),
    path("<int:signature_id>/", views.signature_detail, name="detail"),
    path("<int:signature_id>/export/", views.signature_history, name="history"),
    path("<int:signature_id>/teach/", teaching_views.signature_teach, name="teach"),
    path("lessons/<int:lesson_id>/", teaching_views.lesson_detail, name="lesson"),
    path("lessons/<int:lesson_id>/undo/", teaching_views.lesson_undo, name="lesson-undo"),
    path("lessons/<int:lesson_id>/retry/", teaching_views.lesson_retry, name="lesson-retry"),
]
