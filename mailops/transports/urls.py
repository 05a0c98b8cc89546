"""Addresses of the transports, credentials and streams pages."""

from django.urls import path

from mailops.transports.views import (
    alignment,
    credentials,
    limits,
    oauth,
    rotation,
    streams,
    transports,
)

app_name = "transports"

urlpatterns = [
    path("", transports.transport_list, name="list"),
    path("export/", transports.transport_export, name="export"),
    path("add/", transports.transport_add, name="add"),
    path("<int:transport_id>/", transports.transport_detail, name="detail"),
    path("<int:transport_id>/edit/", transports.transport_edit, name="edit"),
    path("<int:transport_id>/delete/", transports.transport_delete, name="delete"),
    path("<int:transport_id>/test/", transports.transport_test, name="test"),
    path(
        "<int:transport_id>/test/steps/",
        transports.transport_test_steps,
        name="test-steps",
    ),
    path("<int:transport_id>/pause/", transports.transport_pause, name="pause"),
    path("<int:transport_id>/resume/", transports.transport_resume, name="resume"),
    path("<int:transport_id>/credentials/add/", credentials.credential_add, name="credential-add"),
    path("<int:transport_id>/credentials/add-oauth/", oauth.oauth_add, name="oauth-add"),
    path("oauth/<int:grant_id>/", oauth.oauth_edit, name="oauth-edit"),
    path("oauth/<int:grant_id>/sign-in/", oauth.oauth_sign_in, name="oauth-sign-in"),
    path("oauth/signed-in/", oauth.oauth_callback, name="oauth-callback"),
    path("<int:transport_id>/rotation/", rotation.rotation, name="rotation"),
    path("<int:transport_id>/roll-back/", rotation.credential_roll_back, name="roll-back"),
    path("credentials/", credentials.credential_list, name="credentials"),
    path("credentials/export/", credentials.credential_export, name="credential-export"),
    path("credentials/<int:credential_id>/", credentials.credential_detail, name="credential"),
    path(
        "credentials/<int:credential_id>/edit/", credentials.credential_edit, name="credential-edit"
    ),
    path(
        "credentials/<int:credential_id>/test/", credentials.credential_test, name="credential-test"
    ),
    path(
        "credentials/<int:credential_id>/tested/",
        credentials.credential_tested,
        name="credential-tested",
    ),
    path(
        "credentials/<int:credential_id>/activate/",
        rotation.credential_activate,
        name="credential-activate",
    ),
    path(
        "credentials/<int:credential_id>/delete/",
        credentials.credential_delete,
        name="credential-delete",
    ),
    path("<int:transport_id>/warm-up/add/", limits.warm_up_add, name="warm-up-add"),
    path("warm-ups/<int:warm_up_id>/edit/", limits.warm_up_edit, name="warm-up-edit"),
    path("warm-ups/<int:warm_up_id>/end/", limits.warm_up_end, name="warm-up-end"),
    path("providers/", limits.provider_list, name="providers"),
    path("providers/export/", limits.provider_export, name="provider-export"),
    path("providers/add/", limits.provider_add, name="provider-add"),
    path("providers/<int:limit_id>/edit/", limits.provider_edit, name="provider-edit"),
    path("providers/<int:limit_id>/delete/", limits.provider_delete, name="provider-delete"),
    path("alignment/<int:domain_id>/", alignment.domain_panel, name="alignment"),
    path("streams/", streams.stream_list, name="streams"),
    path("streams/export/", streams.stream_export, name="stream-export"),
    path("streams/add/", streams.stream_add, name="stream-add"),
    path("streams/<int:stream_id>/", streams.stream_detail, name="stream-detail"),
    path("streams/<int:stream_id>/edit/", streams.stream_edit, name="stream-edit"),
    path("streams/<int:stream_id>/hours/", streams.stream_hours, name="stream-hours"),
    path("streams/<int:stream_id>/delete/", streams.stream_delete, name="stream-delete"),
    path("streams/<int:stream_id>/pause/", streams.stream_pause, name="stream-pause"),
    path("streams/<int:stream_id>/resume/", streams.stream_resume, name="stream-resume"),
]
