"""All addresses of mailops; each app owns what is below its prefix."""

from django.urls import include, path

from mailops.accounts import views as accounts

urlpatterns = [
    # allauth would mail a link here and manage mailboxes; both are an admin's, see accounts.managing
    path("accounts/password/reset/", accounts.forgotten_password, name="account_reset_password"),
    path(
        "accounts/password/reset/done/",
        accounts.forgotten_password,
        name="account_reset_password_done",
    ),
    path("accounts/email/", accounts.closed, name="account_email"),
    path("accounts/confirm-email/", accounts.closed, name="account_email_verification_sent"),
    path("accounts/confirm-email/<str:key>/", accounts.closed, name="account_confirm_email"),
    path("accounts/2fa/webauthn/login/", accounts.passkey_login, name="mfa_login_webauthn"),
    path("accounts/", include("allauth.urls")),
    path("", include("mailops.reports.urls")),
    path("campaigns/", include("mailops.campaigns.urls")),
    path("templates/", include("mailops.content.urls")),
    path("audiences/", include("mailops.audiences.urls")),
    path("domains/", include("mailops.domains.urls")),
    path("transports/", include("mailops.transports.urls")),
    path("messages/", include("mailops.outbox.urls")),
    path("signatures/", include("mailops.signatures.urls")),
    path("dispatch/", include("mailops.dispatch.urls")),
    path("suppressions/", include("mailops.suppressions.urls")),
    path("incidents/", include("mailops.incidents.urls")),
    path("digest/", include("mailops.digests.urls")),
    path("rollouts/", include("mailops.rollouts.urls")),
    path("sandbox/", include("mailops.sandbox.urls")),
    path("feedback/", include("mailops.feedback.urls")),
    path("settings/", include("mailops.accounts.urls")),
    path("", include("mailops.tracking.urls")),
    path("", include("mailops.installation.urls")),
]

handler403 = "mailops.accounts.views.not_allowed"
handler500 = "mailops.lib.database_away.page_not_made"
