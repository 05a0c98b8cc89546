"""What mailops knows of providers, and what a host, port and TLS say about each other."""

from dataclasses import dataclass

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


_PRESETS = (
    Preset(
        key="smtp",
        name="Any SMTP server",
        login="Host, port, user name and password as your provider names them.",
    ),
    Preset(
        key="ses_api",
        name="Amazon SES (API)",
        kind="amazon_ses",
        login="An IAM access key with the right ses:SendRawEmail and ses:GetAccount; its id is the user name.",
        spf_include="amazonses.com",
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
        login="The server token is both the user name and the password.",
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
        warning="Gmail lets one account write to 500 recipients a day: it is for people, not for applications.",
    ),
    Preset(
        key="sendpigeon",
        name="SendPigeon",
        host="smtp.sendpigeon.dev",
        login="The API key is the password.",
    ),
    Preset(
        key="getmailer",
        name="GetMailer",
        host="smtp.getmailer.com",
        username="apikey",
        login="The user name is the word “apikey”; the API key is the password.",
    ),
)
PRESETS: dict[str, Preset] = {preset.key: preset for preset in _PRESETS}


@dataclass(frozen=True, slots=True)
class Advice:
    title: str
    tone: str  # "warn", "bad" or "info", as the pages' callouts
    sentence: str


def advise(transport: Transport) -> list[Advice]:
    """Return what a person should know about this transport's endpoint."""
    if transport.kind != Transport.Kind.SMTP:
        return []
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
