"""Addresses of the content pages."""

from django.urls import path

from mailops.content import (
    editing_views,
    file_views,
    language_views,
    link_views,
    picture_views,
    release_views,
    views,
    visual_views,
)

app_name = "content"

urlpatterns = [
    path("", views.template_list, name="list"),
    path("new/", views.template_new, name="new"),
    path("<int:template_id>/", views.template_detail, name="detail"),
    path("<int:template_id>/settings/", views.template_settings, name="settings"),
    path("<int:template_id>/edit/", editing_views.template_edit, name="edit"),
    path("<int:template_id>/preview/", editing_views.template_preview, name="preview"),
    path("<int:template_id>/preview/html/", editing_views.preview_html, name="preview-html"),
    path("<int:template_id>/discard/", editing_views.template_discard, name="discard"),
    path("<int:template_id>/visual/", visual_views.template_visual, name="visual"),
    path("<int:template_id>/languages/", language_views.variant_list, name="languages"),
    path(
        "<int:template_id>/languages/<str:language>/delete/",
        language_views.variant_delete,
        name="language-delete",
    ),
    path("<int:template_id>/files/", file_views.file_list, name="files"),
    path("<int:template_id>/files/scan/", file_views.file_scan, name="files-scan"),
    path("<int:template_id>/files/<int:file_id>/", file_views.file_change, name="file"),
    path("files/<slug:sha256>/", file_views.file_download, name="file-download"),
    path("files/<slug:sha256>/picture/", file_views.file_picture, name="file-picture"),
    path("<int:template_id>/publish/", release_views.template_publish, name="publish"),
    path("<int:template_id>/links/", link_views.template_links, name="links"),
    path("<int:template_id>/ask/", release_views.approval_ask, name="ask"),
    path("<int:template_id>/override/", release_views.template_override, name="override"),
    path("<int:template_id>/pictures/", picture_views.template_pictures, name="pictures"),
    path("pictures/<int:picture_id>.png", picture_views.picture, name="picture"),
    path("gates/", release_views.gate_list, name="gates"),
    path("approvals/<int:approval_id>/", release_views.approval_detail, name="approval"),
    path("<int:template_id>/archive/", views.template_archive, name="archive"),
    path("<int:template_id>/unarchive/", views.template_unarchive, name="unarchive"),
    path("<int:template_id>/diff/", views.template_diff, name="diff"),
    path("<int:template_id>/versions/<int:number>/", views.version_detail, name="version"),
    path("<int:template_id>/versions/<int:number>/html/", views.version_html, name="version-html"),
    path(
        "<int:template_id>/versions/<int:number>/restore/",
        views.version_restore,
        name="restore",
    ),
    path(
        "<int:template_id>/versions/<int:number>/roll-back/",
        release_views.version_roll_back,
        name="roll-back",
    ),
    path(
        "<int:template_id>/versions/<int:number>/mails/",
        release_views.version_dependents,
        name="dependents",
    ),
]
