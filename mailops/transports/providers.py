"""What mailops knows of providers, and what a host, port and TLS say about each other."""

from dataclasses import dataclass

from mailops.transports.kinds.apis import APIS, Api
from mailops.transports.models import Transport


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One provider's settings; choosing it fills the form."""

    key: str
    name: str
    login: str  # how to log in, for a person
    kind: str = "smtp"
    host: str = ""
    port: int = 587
    security: str = "starttls"
    username: str = ""
    spf_include: str = ""
    warning: str = ""
    daily_quota: int | None = None
    rate_per_minute: int | None = None
    max_sessions: int = 4
    limits: str = ""  # what a person should know of them
    dkim_selectors: tuple[str, ...] = ()
    unconfirmed: frozenset[str] = frozenset()  # facts that no documentation was found for

    @property
    def is_of_anybody(self) -> bool:
        """Whether it names no provider."""
        return self.kind == Transport.Kind.SMTP and not self.host

    @property
    def suggested_name(self) -> str:
        return "" if self.is_of_anybody else self.name

    @property
    def act(self) -> str:
        """What a person does who chooses it."""
        return "Add an SMTP server" if self.is_of_anybody else f"Add {self.name}"


_UNCONFIRMED = (
    "mailops could not compare these settings with the provider's own documentation: "
    "check host, port and log-in there, then test the connection."
)

# Compared with the providers' documentation in November 2026, but for what is named `unconfirmed`.
_SMTP = (
    Preset(
        key="smtp",
        name="Any SMTP server",
        login="Host, port, user name and password as your provider names them.",
    ),
    Preset(
        key="ses",
        name="Amazon SES (SMTP)",
        host="email-smtp.eu-west-1.amazonaws.com",
        login="SMTP credentials made from IAM on the SES page; they are not the access key. Put your region into the host.",
        spf_include="amazonses.com",
    ),
    Preset(
        key="sendgrid",
        name="SendGrid",
        host="smtp.sendgrid.net",
        username="apikey",
        login="The user name is the word “apikey”; the password is an API key with the right Mail Send.",
        spf_include="sendgrid.net",
    ),
    Preset(
        key="postmark",
        name="Postmark",
        host="smtp.postmarkapp.com",
        login="The server token is both the user name and the password. Broadcast streams have a host of their own, smtp-broadcasts.postmarkapp.com; there is no port 465.",
        spf_include="spf.mtasv.net",
    ),
    Preset(
        key="mailgun",
        name="Mailgun",
        host="smtp.mailgun.org",
        login="Credentials belong to one domain: see Domain settings, SMTP credentials. In the EU the host is smtp.eu.mailgun.org.",
        spf_include="mailgun.org",
    ),
    Preset(
        key="gmail",
        name="Gmail",
        host="smtp.gmail.com",
        login="Your address, and an app password (it needs two-step verification).",
        spf_include="_spf.google.com",
        daily_quota=500,
        warning="Gmail lets one account write to 500 recipients a day (2,000 with Workspace): it is for people, not for applications.",
    ),
    Preset(
        key="microsoft365",
        name="Microsoft 365",
        host="smtp.office365.com",
        login="Your address, by OAuth 2.0; authenticated SMTP must be switched on for the mailbox.",
        spf_include="spf.protection.outlook.com",
        daily_quota=10_000,
        rate_per_minute=30,
        max_sessions=3,
        limits="One mailbox may write to 10,000 recipients a day, with 30 messages a minute and three sessions at once.",
        warning="Microsoft 365 is for people, not for applications: it asks to send bulk mail through somebody else.",
    ),
    Preset(
        key="sendpigeon",
        name="SendPigeon",
        host="smtp.sendpigeon.dev",
        login="The API key is the password.",
        warning=_UNCONFIRMED,
        unconfirmed=frozenset({"host", "port", "login"}),
    ),
    Preset(
        key="getmailer",
        name="GetMailer",
        host="smtp.getmailer.com",
        username="apikey",
        login="The user name is the word “apikey”; the API key is the password.",
        warning=_UNCONFIRMED,
        unconfirmed=frozenset({"host", "port", "login"}),
    ),
)


def _of_api(api: Api) -> Preset:
    return Preset(
        key="ses_api" if api.kind == Transport.Kind.SES else f"{api.kind}_api",
        name=f"{api.name} (API)",
        kind=api.kind,
        login=api.login,
        username="" if api.user_label else "api",
        spf_include=api.spf_include,
        dkim_selectors=api.dkim_selectors,
        rate_per_minute=api.rate_per_minute,
        limits=api.limits,
        warning=api.warning,
        unconfirmed=api.unconfirmed,
    )


_PRESETS = (*_SMTP, *(_of_api(api) for api in APIS.values()))
PRESETS: dict[str, Preset] = {preset.key: preset for preset in _PRESETS}


@dataclass(frozen=True, slots=True)
class Advice:
    title: str
    tone: str  # "warn", "bad" or "info", as the pages' callouts
    sentence: str


def advise(transport: Transport) -> list[Advice]:
    """Return what a person should know about this transport's endpoint."""
    if api := APIS.get(transport.kind):
        return [Advice(api.name, "info", api.warning)] if api.warning else []
    found = [] if transport.is_trusted_relay else _on_port(transport.port, transport.security)
    if transport.is_trusted_relay:
        found.append(
            Advice(
                "A trusted relay",
                "info",
                "This exact host and port stands in MAILOPS_TRUSTED_RELAYS, so it may be inside a private network and be spoken to without TLS or a log-in.",
            )
        )
    preset = PRESETS.get(transport.options.get("preset", ""))
    if preset and preset.warning:
        found.append(Advice(preset.name, "warn", preset.warning))
    return found


def misfits(transport: Transport) -> dict[str, str]:
    """Return what of port and TLS its environment does not allow, by field.

    Development may try what it likes; what stands in MAILOPS_TRUSTED_RELAYS is somebody's deliberate choice.
    """
    if transport.environment == Transport.Environment.DEVELOPMENT or transport.is_trusted_relay:
        return {}
    wrong = {}
    if not transport.is_smtp:
        if transport.options.get("sandbox_id") and transport.is_production:
            wrong["sandbox_id"] = (
                "A sandbox's mail reaches nobody: choose staging, or leave it out."
            )
        return wrong
    for advice in _on_port(transport.port, transport.security):
        if advice.tone == "bad":
            wrong["security"] = advice.sentence
    if transport.port == 25 and transport.is_production:
        wrong["port"] = (
            "Production submits on 587 or 465: port 25 is for mail between servers and blocked by most networks."
        )
    return wrong


def _on_port(port: int, security: str) -> list[Advice]:
    found = []
    if port == 25:
        found.append(
            Advice(
                "Port 25",
                "warn",
                "Port 25 is for mail between servers and blocked by most networks; submit on 587 or 465.",
            )
        )
    if port == 465 and security == "starttls":
        found.append(
            Advice(
                "TLS does not fit the port",
                "bad",
                "Port 465 speaks TLS from the first octet: choose implicit TLS.",
            )
        )
    if port in {25, 587, 2525} and security == "tls":
        found.append(
            Advice(
                "TLS does not fit the port",
                "bad",
                f"Port {port} greets in clear text: choose STARTTLS, or port 465.",
            )
        )
    if port == 2525 and security == "starttls":
        found.append(
            Advice(
                "Port 2525",
                "info",
                "Port 2525 is the way round a blocked 587; use 587 where it is open.",
            )
        )
    if port not in {25, 465, 587, 2525} and security != "none":
        found.append(
            Advice(
                "An unusual port",
                "info",
                f"Port {port} is unusual for submission; 587 and 465 are the standard.",
            )
        )
    return found
