"""What tells providers' APIs apart: their fields, addresses, limits, log-ins and habits. One row each, and no class."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Field:
    """One option that a provider's form asks for; it is kept in `Transport.options` under its name."""

    name: str
    label: str
    help_text: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    shape: str = r"[\w.:-]+"  # what its value must look like
    example: str = ""
    is_required: bool = True
    is_domain: bool = False
    is_url: bool = False


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A call that proves the log-in and sends nothing."""

    path: str  # joined to the API's address
    method: str = "GET"
    body: str | None = None
    proven_by: tuple[str, ...] = ()  # words of an error that only a good key gets
    # A send without a recipient: whoever may send is told what is missing (400, 422), others that they may not.
    is_empty_send: bool = False


@dataclass(frozen=True, kw_only=True)
class Api:
    kind: str  # as `Transport.Kind`, and the name of anymail's backend and webhook modules
    name: str
    login: str  # how to log in, for a person
    urls: Mapping[str, str] = field(default_factory=dict)  # region → address; "" where there is one
    fields: tuple[Field, ...] = ()
    key_is: str = "api_key"  # anymail's name for the secret
    key_label: str = "API key"
    user_is: str = ""  # anymail's name for the user name, where one is wanted
    user_label: str = ""
    passes: tuple[str, ...] = ()  # options that anymail is given as they are
    carries_metadata: bool = True  # else our token travels as a tag
    keeps_message_id: bool = False  # whether our Message-ID may stand in the mail
    adds_headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)  # anymail's esp_extra
    envelope_domain: bool = False  # whether the transport's return-path host is told to it
    # the HTTP statuses that say that a mail was taken, where no words do; empty: words do
    taken_with: frozenset[int] = frozenset()
    # whether a state that anymail has no word for, with an id beside it, is one of a mail that was taken
    unknown_is_taken: bool = False
    spf_include: str = ""
    dkim_selectors: tuple[str, ...] = ()
    max_megabytes: int = 10
    rate_per_minute: int | None = None
    limits: str = ""  # what a person should know of them
    probe: Probe | None = None
    has_webhook: bool = True
    webhook: str = ""  # how to register our address there
    warning: str = ""
    # facts of this row that no documentation was found for: pages say so, and no mail is refused because of them
    unconfirmed: frozenset[str] = frozenset()

    @property
    def size_limit(self) -> int | None:
        """The most octets of a message, where that is known."""
        return None if "max_megabytes" in self.unconfirmed else self.max_megabytes * 10**6


_ENDPOINT = Field(
    name="endpoint_url",
    label="Address of the API",
    help_text="An https address; it must be public, or stand in MAILOPS_TRUSTED_RELAYS with its port.",
    example="https://postal.example.com",
    shape=r"https?://[\w.:\[\]/-]+",
    is_url=True,
)


def _regions(label: str, *regions: tuple[str, str], help_text: str = "") -> Field:
    return Field(name="region", label=label, choices=regions, help_text=help_text)


# Compared with what the providers and users of theirs published, in November 2026: how to log in, sizes, SPF includes and
# selectors but for those named `unconfirmed`; addresses of the APIs, where they are not anymail's own default. Where in
# a console webhooks are found could not be looked at without an account, so pages call it a hint.
_APIS = (
    Api(
        kind="amazon_ses",
        name="Amazon SES",
        login="An IAM access key with the right ses:SendRawEmail and ses:GetAccount; its id is the user name.",
        fields=(
            Field(
                name="region",
                label="Region",
                help_text="Such as eu-west-1.",
                shape=r"[a-z]{2}(-[a-z]+)+-\d",
                example="eu-west-1",
            ),
            Field(
                name="configuration_set",
                label="Configuration set",
                help_text="The one whose events come back to mailops; empty for the account's default.",
                is_required=False,
                shape=r"[\w-]{1,64}",
            ),
        ),
        key_is="",
        key_label="Secret access key",
        user_label="Access key id",
        spf_include="amazonses.com",
        max_megabytes=40,
        limits="Amazon tells an account's rate and daily number in its console; the connection test shows them.",
        webhook="In the configuration set add an event destination of type SNS, and subscribe the address to its topic by HTTPS.",
    ),
    Api(
        kind="brevo",
        name="Brevo",
        login="An API key (v3) from SMTP & API, API keys; the SMTP key does not work here.",
        urls={"": "https://api.brevo.com/v3/"},
        taken_with=frozenset({201, 202}),
        spf_include="spf.brevo.com",
        dkim_selectors=("brevo1", "brevo2"),
        max_megabytes=20,
        probe=Probe(path="account"),
        webhook="Transactional, Settings, Webhook: paste the address and choose all events.",
    ),
    Api(
        kind="mailersend",
        name="MailerSend",
        login="An API token of the sending domain with the right to send mail.",
        urls={"": "https://api.mailersend.com/v1/"},
        key_is="api_token",
        key_label="API token",
        carries_metadata=False,
        spf_include="_spf.mailersend.net",
        dkim_selectors=("mlsend2",),
        max_megabytes=25,
        rate_per_minute=120,
        unconfirmed=frozenset({"spf_include", "dkim_selectors", "max_megabytes"}),
        limits="120 calls a minute, and a daily number that depends on the plan. Header fields of one's own, "
        "List-Unsubscribe among them, need its Enterprise plan.",
        probe=Probe(path="api-quota"),
        webhook="Domains, the domain, Webhooks: paste the address, choose all activity events, copy the signing secret.",
    ),
    Api(
        kind="mailgun",
        name="Mailgun",
        login="The domain's sending key, or an API key of the account.",
        urls={"us": "https://api.mailgun.net/v3/", "eu": "https://api.eu.mailgun.net/v3/"},
        fields=(
            Field(
                name="sender_domain",
                label="Mailgun domain",
                help_text="As Mailgun lists it, such as mg.example.com.",
                is_domain=True,
                example="mg.example.com",
            ),
            _regions("Region", ("us", "United States"), ("eu", "European Union")),
        ),
        passes=("sender_domain",),
        keeps_message_id=True,
        spf_include="mailgun.org",
        max_megabytes=25,
        probe=Probe(path="{sender_domain}/messages", method="POST", body="{}", is_empty_send=True),
        webhook="Send, Webhooks, the domain: add the address for each event, and copy the HTTP webhook signing key.",
    ),
    Api(
        kind="mailjet",
        name="Mailjet",
        login="The API key is the user name, the secret key is the secret.",
        urls={"": "https://api.mailjet.com/v3.1/"},
        key_is="secret_key",
        key_label="Secret key",
        user_is="api_key",
        user_label="API key",
        spf_include="spf.mailjet.com",
        dkim_selectors=("mailjet",),
        max_megabytes=15,
        unconfirmed=frozenset({"dkim_selectors"}),
        probe=Probe(path="../v3/REST/user"),
        webhook="Account, Event notifications (webhooks): set the address for all events, grouped.",
    ),
    Api(
        kind="mailtrap",
        name="Mailtrap",
        login="An API token with the right to send for the domain, or of the sandbox project.",
        urls={"": "https://send.api.mailtrap.io/api/"},
        fields=(
            Field(
                name="sandbox_id",
                label="Sandbox id",
                help_text="Fill it in to send into that test inbox instead of to recipients.",
                shape=r"\d{1,12}",
                is_required=False,
            ),
        ),
        key_is="api_token",
        key_label="API token",
        passes=("sandbox_id",),
        dkim_selectors=("rwmt1", "rwmt2"),
        max_megabytes=10,
        rate_per_minute=900,
        unconfirmed=frozenset({"dkim_selectors", "max_megabytes", "rate_per_minute"}),
        limits="150 messages in ten seconds, as far as mailops knows; see your plan at Mailtrap.",
        probe=Probe(path="send", method="POST", body="{}", is_empty_send=True),
        webhook="Settings, Webhooks: paste the address with JSON as its format, choose all events, copy the signature key.",
    ),
    Api(
        kind="mandrill",
        name="Mandrill",
        login="An API key of Mailchimp Transactional.",
        urls={"": "https://mandrillapp.com/api/1.0/"},
        envelope_domain=True,
        unknown_is_taken=True,
        spf_include="spf.mandrillapp.com",
        dkim_selectors=("mte1", "mte2"),
        max_megabytes=25,
        unconfirmed=frozenset({"max_megabytes"}),
        probe=Probe(path="users/ping2.json", method="POST", body='{"key": "{secret}"}'),
        webhook="Settings, Webhooks: paste the address, choose all message events, copy the key it shows.",
    ),
    Api(
        kind="postal",
        name="Postal",
        login="An API credential of the mail server in Postal.",
        fields=(_ENDPOINT,),
        carries_metadata=False,
        max_megabytes=14,
        unconfirmed=frozenset({"max_megabytes"}),  # whoever runs it sets it
        limits="Your own server's limits.",
        probe=Probe(
            path="api/v1/messages/message",
            method="POST",
            body='{"id": 0}',
            proven_by=("MessageNotFound",),
        ),
        webhook="The mail server, Webhooks: paste the address, send all events; the public key stands on the server's page.",
    ),
    Api(
        kind="postmark",
        name="Postmark",
        login="The server's API token.",
        urls={"": "https://api.postmarkapp.com/"},
        fields=(
            Field(
                name="message_stream",
                label="Message stream",
                help_text="Its id with Postmark, such as outbound or broadcasts; empty for outbound.",
                shape=r"[\w-]{1,30}",
                is_required=False,
            ),
        ),
        key_is="server_token",
        key_label="Server API token",
        passes=("message_stream",),
        keeps_message_id=True,
        adds_headers={"X-PM-KeepID": "true"},
        spf_include="spf.mtasv.net",
        max_megabytes=10,
        probe=Probe(path="server"),
        webhook="The server, the message stream, Webhooks: paste the address, choose all events.",
    ),
    Api(
        kind="resend",
        name="Resend",
        login="An API key; sending access is enough.",
        urls={"": "https://api.resend.com/"},
        dkim_selectors=("resend",),
        max_megabytes=40,
        rate_per_minute=300,
        limits="Five calls a second for a team, two for older ones, unless Resend has raised it.",
        probe=Probe(path="domains", proven_by=("restricted_api_key",)),
        webhook="Webhooks, Add: paste the address, choose all email events, copy the signing secret.",
    ),
    Api(
        kind="scaleway",
        name="Scaleway",
        login="The secret key of an IAM API key with the right TransactionalEmailEmailFullAccess.",
        urls={
            "fr-par": "https://api.scaleway.com/transactional-email/v1alpha1/regions/fr-par/",
        },
        fields=(
            Field(name="project_id", label="Project id", shape=r"[0-9a-f-]{36}"),
            _regions("Region", ("fr-par", "Paris")),
        ),
        key_is="secret_key",
        key_label="Secret key",
        passes=("project_id", "region"),
        unknown_is_taken=True,
        spf_include="_spf.tem.scaleway.com",
        max_megabytes=2,
        limits="Two megabytes a message.",
        probe=Probe(path="domains?project_id={project_id}&page_size=1"),
        has_webhook=False,
        webhook="anymail reads no webhooks of Scaleway: what becomes of a message after it was taken is not told.",
    ),
    Api(
        kind="sendgrid",
        name="SendGrid",
        login="An API key with the right Mail Send.",
        urls={
            "global": "https://api.sendgrid.com/v3/",
            "eu": "https://api.eu.sendgrid.com/v3/",
        },
        fields=(_regions("Region", ("global", "Global"), ("eu", "European Union")),),
        taken_with=frozenset({202}),
        keeps_message_id=True,
        spf_include="sendgrid.net",
        dkim_selectors=("s1", "s2"),
        max_megabytes=20,
        probe=Probe(path="scopes"),
        webhook="Settings, Mail settings, Event webhooks: paste the address, choose all events, turn the signature on.",
        warning="anymail no longer tests SendGrid; mailops does, against a double of its API.",
    ),
    Api(
        kind="sparkpost",
        name="SparkPost",
        login="An API key with the right Transmissions: Read/Write.",
        urls={
            "us": "https://api.sparkpost.com/api/v1/",
            "eu": "https://api.eu.sparkpost.com/api/v1/",
        },
        fields=(
            _regions("Region", ("us", "United States"), ("eu", "European Union")),
            Field(
                name="subaccount",
                label="Subaccount id",
                shape=r"\d{1,12}",
                is_required=False,
            ),
        ),
        passes=("subaccount",),
        keeps_message_id=True,
        envelope_domain=True,
        max_megabytes=20,
        unconfirmed=frozenset({"max_megabytes"}),
        probe=Probe(path="transmissions/", method="POST", body="{}", is_empty_send=True),
        webhook="Configuration, Webhooks: paste the address with basic authentication, choose all events.",
    ),
    Api(
        kind="unisender_go",
        name="Unisender Go",
        login="The API key of the account or of a project.",
        urls={
            "go1": "https://go1.unisender.ru/en/transactional/api/v1/",
            "go2": "https://go2.unisender.ru/en/transactional/api/v1/",
        },
        fields=(_regions("Data center", ("go1", "go1"), ("go2", "go2")),),
        # else it puts an unsubscribe block of its own below ours
        extra={"skip_unsubscribe": 1},
        max_megabytes=10,
        limits="Leaving out its own unsubscribe block (skip_unsubscribe) must be allowed by its support.",
        probe=Probe(path="system/info.json", method="POST", body="{}"),
        webhook="Settings, Webhooks: paste the address, JSON, all events, single deliveries or by lists.",
    ),
)
APIS: Mapping[str, Api] = {api.kind: api for api in _APIS}
TELLING = [kind for kind, api in APIS.items() if api.has_webhook]  # whose providers call


def api_url(api: Api, options: Mapping[str, str]) -> str:
    """Return the address of a transport's API, ending in a slash."""
    given = options.get("endpoint_url") or api.urls.get(options.get("region", ""), "")
    url = str(given or next(iter(api.urls.values()), ""))
    return url if url.endswith("/") else f"{url}/"


def own_facts(kind: str, options: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what a transport's own fields hold, each with its label, as its page shows them."""
    api = APIS.get(kind)
    fields = api.fields if api else ()
    return [(one.label, _named(one, options[one.name])) for one in fields if options.get(one.name)]


def _named(one: Field, value: str) -> str:
    return dict(one.choices).get(value, value)
