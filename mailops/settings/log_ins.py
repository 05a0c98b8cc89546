"""Who may log in, and by what."""

from mailops.settings.environment import MAILOPS_BASE_URL

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
SESSION_ENGINE = "mailops.accounts.sessions"
SESSION_SERIALIZER = "mailops.accounts.sessions.SealedJson"
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_FORMS = {
    "login": "mailops.accounts.entrance_forms.LogIn",
    "change_password": "mailops.accounts.entrance_forms.ChangePassword",
    "reset_password_from_key": "mailops.accounts.entrance_forms.SetPassword",
    "reauthenticate": "mailops.accounts.entrance_forms.Reauthenticate",
}
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "mailops.accounts.links.PasswordLinks"  # noqa: S105
ACCOUNT_ADAPTER = "mailops.accounts.adapter.AccountAdapter"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
MFA_ADAPTER = "mailops.accounts.adapter.MFAAdapter"
MFA_FORMS = {
    "authenticate": "mailops.accounts.entrance_forms.SecondFactorCode",
    "add_webauthn": "mailops.accounts.entrance_forms.AddPasskey",
    "login_webauthn": "mailops.accounts.entrance_forms.LogInByPasskey",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RATE_LIMITS = {"passkey_challenge": "30/m/ip"}
MFA_ALLOW_UNVERIFIED_EMAIL = True  # an admin gave the address; there is no mail to verify it by
MFA_TOTP_ISSUER = "mailops"
# browsers offer passkeys over http only on localhost, so nothing is lost by allowing it
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = MAILOPS_BASE_URL.startswith("http://")
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "name"]},
    },
]

# Where the counts of failed log-ins are kept: as few as the default's 300 would be pushed out by wrong names.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
