"""Forms about transports: their endpoint, their test, pausing them, finding them."""

import re
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django import forms
from django.db.models import Q

from mailops.accounts.meanwhile import field_of
from mailops.lib import secrets
from mailops.lib.egress import is_confidential, is_trusted
from mailops.lib.secrets import BadReference, Secret
from mailops.lib.write_only import WriteOnlyPassword
from mailops.lib.written_words import LineField, LinesField
from mailops.protocol.address import InvalidAddress, domain_key
from mailops.protocol.spf_record import included_domain
from mailops.transports.kinds.apis import APIS, Field
from mailops.transports.models import OAuthGrant, RunState, Stream, Transport
from mailops.transports.models.transport import TransportQuerySet
from mailops.transports.providers import Preset, misfits

_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9:]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9:])?")

_ANEW = {
    "secret": "The endpoint changes: give the secret anew, the stored one does not open there.",
    "reference": "The endpoint changes: say anew where the secret is read, so that it goes there by your word alone.",
}
_COMPARE = "Compare it with what {} shows for your domain: mailops could not confirm it."


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks for the host and port of a server."""

    def clean_host(self) -> str:
        host: str = self.cleaned_data["host"].strip().rstrip(".").lower()
        if not _HOST.fullmatch(host):
            raise forms.ValidationError("A host is a name such as mail.example.com.")
        return host

    def clean_port(self) -> int:
        port: int = self.cleaned_data["port"]
        if not 0 < port < 65536:
            raise forms.ValidationError("A port is a number from 1 to 65535.")
        return port


class SecretField(forms.CharField):
    """Write-only: it is never filled in again, and becomes a `Secret` at once."""

    def __init__(self, **kwargs: Any) -> None:
        widget = WriteOnlyPassword(attrs={"autocomplete": "new-password", "spellcheck": "false"})
        super().__init__(widget=widget, max_length=4096, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if any(not c.isprintable() for c in text):
            raise forms.ValidationError("A secret has no line ends or control characters in it.")
        return Secret(text)


class ReferenceField(forms.CharField):
    """Where a secret is read, outside of mailops; there must be one."""

    def clean(self, value: Any) -> Any:
        reference = super().clean(value)
        if reference:
            try:
                secrets.follow(reference)
            except BadReference as error:
                raise forms.ValidationError(str(error)) from error
        return reference


class TransportForm(forms.ModelForm):  # type: ignore[type-arg]
    """What both kinds share; what the active credential holds is wanted when the endpoint changes, since it is bound to it."""

    spf_include = forms.CharField(
        label="SPF include",
        required=False,
        max_length=253,
        help_text="What sender domains must include in SPF; their pages show and check it.",
    )
    dkim_selectors = forms.CharField(
        label="DKIM selectors",
        required=False,
        max_length=500,
        help_text="Those the provider signs with, with commas; sender domains must publish them.",
    )
    secret = SecretField(
        label="Secret of the active credential",
        required=False,
        help_text="Only needed when the endpoint (host, port, TLS, region) changes: the stored secret is bound to it.",
    )
    reference = ReferenceField(
        label="Where to read the active credential's secret",
        required=False,
        max_length=254,
        help_text="Only needed when the endpoint (host, port, TLS, region) changes: say it anew.",
    )

    class Meta:
        model = Transport
        fields: ClassVar[list[str]] = [
            "name",
            "environment",
            "host",
            "port",
            "security",
            "return_path_host",
            "max_sessions",
            "messages_per_session",
            "rate_per_minute",
            "daily_quota",
        ]
        field_classes: ClassVar = {"name": LineField}
        labels: ClassVar = {
            "security": "TLS",
            "max_sessions": "Sessions at once",
            "messages_per_session": "Messages a session",
            "rate_per_minute": "Messages a minute",
            "daily_quota": "Messages a day",
        }
        help_texts: ClassVar = {
            "environment": "Carries mail of streams of the same environment alone.",
            "return_path_host": "Where bounces come back to; empty for the installation's own.",
            "max_sessions": "Over all processes.",
            "rate_per_minute": "Over all processes. Empty for no limit.",
            "daily_quota": "Over all processes, from midnight to midnight UTC. Empty for no limit. What left before it was first set today is not counted.",
        }

    own_fields: tuple[Field, ...] = ()  # of the kind, kept in the row's options

    def __init__(self, *args: Any, preset: Preset | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preset = preset
        options = self.instance.options
        for field in self.own_fields:
            self.fields[field.name] = _form_field(field, options.get(field.name, ""))
        self.order_fields(["name", "environment", *(field.name for field in self.own_fields)])
        self.fields["spf_include"].initial = options.get(
            "spf_include", preset.spf_include if preset else ""
        )
        known = preset.dkim_selectors if preset and not self.instance.pk else ()
        self.fields["dkim_selectors"].initial = ", ".join(options.get("dkim_selectors", known))
        for name in ("spf_include", "dkim_selectors"):
            if preset and name in preset.unconfirmed and self.fields[name].initial:
                self.fields[
                    name
                ].help_text += f" {_COMPARE.format(preset.name.removesuffix(' (API)'))}"
        self._endpoint = self.instance.endpoint
        self._active = self.instance.active_credential if self.instance.pk else None
        if self.instance.pk:
            self.fields["seen"] = field_of(self.instance.mark)
        for name in {"secret", "reference"} - {self._wanted_anew}:
            del self.fields[name]
        if self._grant and "host" in self.fields:
            self.fields[
                "host"
            ].help_text = "If host, port or TLS change, somebody must sign in again."

    @property
    def _grant(self) -> OAuthGrant | None:
        return self._active.oauth if self._active else None

    @property
    def _wanted_anew(self) -> str:
        """The field that a change of the endpoint wants; empty where nothing that is typed would help."""
        if self._active is None or self._grant:
            return ""
        return "reference" if self._active.reference else "secret"

    def clean_max_sessions(self) -> int:
        return self._at_least_one("max_sessions")

    def clean_messages_per_session(self) -> int:
        return self._at_least_one("messages_per_session")

    def clean_rate_per_minute(self) -> int | None:
        rate: int | None = self.cleaned_data["rate_per_minute"]
        if rate == 0:
            raise forms.ValidationError("At least 1; to stop it, pause the transport.")
        return rate

    def clean_daily_quota(self) -> int | None:
        quota: int | None = self.cleaned_data["daily_quota"]
        if quota == 0:
            raise forms.ValidationError("At least 1; to stop it, pause the transport.")
        return quota

    def clean_return_path_host(self) -> str:
        return _read_name(domain_key, self.cleaned_data["return_path_host"])

    def clean_spf_include(self) -> str:
        return _read_name(included_domain, self.cleaned_data["spf_include"])

    def clean_dkim_selectors(self) -> list[str]:
        names = [part.strip() for part in self.cleaned_data["dkim_selectors"].split(",")]
        names = [name for name in names if name]
        for name in names:
            if not _SELECTOR.fullmatch(name):
                raise forms.ValidationError(f"“{name}” is not a selector.")
        return names

    def _at_least_one(self, name: str) -> int:
        value: int = self.cleaned_data[name]
        if value < 1:
            raise forms.ValidationError("At least 1.")
        return value

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._keep_options(cleaned)
        return cleaned

    def _keep_options(self, cleaned: dict[str, Any]) -> None:
        options = {**self.instance.options}
        for name in (*(own.name for own in self.own_fields), "spf_include", "dkim_selectors"):
            options[name] = cleaned.get(name) or ""
        if self.preset and not self.instance.pk:
            options["preset"] = self.preset.key
        self.instance.options = {name: value for name, value in options.items() if value}

    def clean_environment(self) -> str:
        environment: str = self.cleaned_data["environment"]
        if self.instance.pk:
            others = Stream.objects.using_transport(self.instance).exclude(environment=environment)
            if names := ", ".join(others.order_by("name").values_list("name", flat=True)[:3]):
                raise forms.ValidationError(
                    f"It carries streams of another environment ({names}): take it out of them first."
                )
        return environment

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        for name, wrong in misfits(self.instance).items():
            if not self.errors.get(name):
                self.add_error(name, wrong)
        name = self._wanted_anew
        if name and self._is_moved and not self.errors and not self.cleaned_data[name]:
            self.add_error(name, _ANEW[name])

    @property
    def _is_moved(self) -> bool:
        return bool(self.instance.endpoint != self._endpoint)

    @property
    def seen(self) -> str | None:
        """The mark of the transport as the form showed it."""
        return self.cleaned_data.get("seen")

    @property
    def new_secret(self) -> Secret | None:
        return self.cleaned_data.get("secret") or None

    @property
    def new_reference(self) -> str:
        return self.cleaned_data.get("reference") or ""

    @property
    def grant_to_renew(self) -> OAuthGrant | None:
        """The permission that saving forgets, since it was given for another endpoint."""
        return self._grant if self._is_moved else None


class SmtpTransportForm(EndpointForm, TransportForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["host"].required = True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        host, port = cleaned.get("host"), cleaned.get("port")
        is_clear = cleaned.get("security") == Transport.Security.NONE
        if is_clear and host and port and not is_trusted(host, port):
            self.add_error(
                "security",
                "Clear text is only for a host and port that stand in MAILOPS_TRUSTED_RELAYS.",
            )
        return cleaned


class ApiTransportForm(TransportForm):
    """The form of every API kind: its own fields come from the table of `kinds.apis`."""

    class Meta(TransportForm.Meta):
        fields: ClassVar[list[str]] = [
            name for name in TransportForm.Meta.fields if name not in {"host", "port", "security"}
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        api = APIS[kwargs["instance"].kind]
        self.own_fields = api.fields
        super().__init__(*args, **kwargs)
        self.fields["return_path_host"].help_text = (
            f"The return-path (MAIL FROM) domain set up with {api.name}, where it is one of yours: "
            "SPF aligns by it. Bounces are told by webhook."
        )

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        for field in self.own_fields:
            value = cleaned.get(field.name)
            if value and (wrong := _wrong_with(field, value)):
                self.add_error(field.name, wrong)
        return super().clean()


def _form_field(field: Field, initial: str) -> forms.Field:
    given: dict[str, Any] = {
        "initial": initial,
        "label": field.label,
        "help_text": field.help_text,
        "required": field.is_required,
    }
    if field.choices:
        return forms.ChoiceField(choices=field.choices, **given)
    return forms.CharField(
        max_length=253, widget=forms.TextInput(attrs={"placeholder": field.example}), **given
    )


def _wrong_with(field: Field, value: str) -> str:
    if not re.fullmatch(field.shape, value, re.ASCII):
        return f"It looks like {field.example}." if field.example else "It doesn't look like one."
    if field.is_domain:
        try:
            domain_key(value)
        except InvalidAddress as error:
            return str(error)
    if field.is_url and not _is_root(value):
        return (
            "Give an https address; http only where host and port stand in MAILOPS_TRUSTED_RELAYS."
        )
    return ""


def _is_root(url: str) -> bool:
    """Tell whether a key may be sent to this address, and paths can be put behind it."""
    return is_confidential(url) and not urlsplit(url).query and not urlsplit(url).fragment


def form_of(kind: str) -> type[TransportForm]:
    return ApiTransportForm if kind in APIS else SmtpTransportForm


class TransportFilterForm(forms.Form):
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=253,
        widget=forms.SearchInput(),
    )
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *RunState.choices])

    def apply(self, transports: TransportQuerySet) -> TransportQuerySet:
        """Return those of `transports` that the filter asks for."""
        if text := self.cleaned_data.get("q"):
            transports = transports.filter(Q(name__icontains=text) | Q(host__icontains=text))
        if state := self.cleaned_data.get("state"):
            transports = transports.filter(state=state)
        return transports


class ConnectionTestForm(forms.Form):
    recipient = forms.EmailField(
        label="Also ask whether it would take mail to",
        required=False,
        help_text="Says MAIL and RCPT and takes them back; nothing is sent.",
    )


class PollForm(forms.Form):
    """How often a page has asked already."""

    n = forms.IntegerField(min_value=0, max_value=1000)


class PauseForm(forms.Form):
    reason = LinesField(
        label="Why",
        max_length=500,
        required=False,
        help_text="Shown to whoever wonders why no mail leaves.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )


def _read_name(read: Callable[[str], str], text: str) -> str:
    if not text.strip():
        return ""
    try:
        return read(text)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from error
