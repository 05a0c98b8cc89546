"""Forms about streams."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django import forms
from django.conf import settings
from django.db.models import Q

from mailops.accounts.meanwhile import field_of
from mailops.accounts.models import Role, User
from mailops.lib.written_words import LineField
from mailops.transports.durations import (
    parse_duration,
    parse_durations,
    show_duration,
    show_durations,
)
from mailops.transports.models import PATIENCE, RESERVED, RunState, Stream, Transport
from mailops.transports.models.stream import StreamQuerySet

T = TypeVar("T")

_DAY = 86400
_MOST_RESERVED = 90
_ROUTES = ("first_transport", "second_transport", "third_transport")
_WEIGHTS = ("first_weight", "second_weight", "third_weight")
# what most leave as it is, by the title of its part of the page
_PARTS = {
    "When it tries again, and how much leaves": (
        "guarantee",
        "backoff",
        "expiry",
        "rate_per_minute",
        "reserved_percent",
    ),
    "What is kept of bodies, opens and clicks": (
        "is_sensitive",
        "counts_opens",
        "counts_clicks",
        "tracks_opens",
        "tracks_clicks",
    ),
}


def _weight(label: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=1000, initial=1)


class StreamForm(forms.ModelForm):  # type: ignore[type-arg]
    first_transport = forms.ModelChoiceField(
        Transport.objects.order_by("name"),
        label="Transport",
        empty_label="Choose a transport",
        help_text="Carries the mail.",
    )
    second_transport = forms.ModelChoiceField(
        Transport.objects.order_by("name"),
        label="Second transport",
        required=False,
        empty_label="None",
        help_text="In order: stands in while the first is paused by a fault or not reachable, and takes what it may not "
        "send any more today (quota, warm-up).",
    )
    third_transport = forms.ModelChoiceField(
        Transport.objects.order_by("name"),
        label="Third transport",
        required=False,
        empty_label="None",
        help_text="The same, after the second.",
    )
    first_weight = _weight("Its weight")
    second_weight = _weight("Second weight")
    third_weight = _weight("Third weight")
    backoff = forms.CharField(
        label="Try again after",
        max_length=200,
        help_text="With commas; the last one repeats. Each wait is drawn at random up to its step.",
    )
    expiry = forms.CharField(
        label="Give up after", max_length=20, help_text="Such as 4 h for codes, 72 h for news."
    )

    class Meta:
        model = Stream
        fields: ClassVar[list[str]] = [
            "name",
            "kind",
            "environment",
            "routing",
            "domain",
            "owner",
            "guarantee",
            "rate_per_minute",
            "reserved_percent",
            "is_sensitive",
            "counts_opens",
            "counts_clicks",
            "tracks_opens",
            "tracks_clicks",
        ]
        field_classes: ClassVar = {"name": LineField}
        labels: ClassVar = {
            "guarantee": "When it can't be known whether a message was taken",
            "rate_per_minute": "Messages a minute",
            "reserved_percent": "Reserved, in percent",
            "is_sensitive": "Sensitive: store and show no bodies",
            "counts_opens": "Keep opens that providers tell of",
            "counts_clicks": "Keep clicks that providers tell of",
            "tracks_opens": "Put a picture of our own into HTML mail, and count opens by it",
            "tracks_clicks": "Lead links in HTML mail through mailops, and count clicks",
        }
        help_texts: ClassVar = {
            "kind": "Transactional mail is awaited by one person; bulk mail goes to many and can be unsubscribed from.",
            "routing": "In order, the first carries the mail. By weight, each carries its share, by the weights below.",
            "environment": "Only transports of the same environment carry its mail.",
            "domain": "Keep bulk and transactional mail on domains of their own, so that one can't spoil the other's name.",
            "counts_opens": "What scanners and mail programs open by themselves is counted apart.",
            "counts_clicks": "What scanners follow is counted apart.",
            "tracks_opens": "Leave it off where the provider puts one in, too: a mail needs one picture at most. Kept of a "
            "reader: that and when the mail was opened, and by what kind of program; no address. Forgotten after "
            f"{settings.MAILOPS_LOOK_DAYS} days, the call itself after {settings.MAILOPS_HIT_DAYS}. Who unsubscribed, or "
            "sends “Do Not Track” or “Global Privacy Control”, isn't counted. You may need your readers' consent.",
            "tracks_clicks": "Leave it off where the provider changes links, too. What is kept is as above, and which link. Links to "
            'unsubscribe and those with data-track="off" or rel="no-track" stay as they are; so does all of the text part.',
            "owner": "Who answers for its bounces and complaints.",
            "rate_per_minute": "Over all processes. Empty for no limit.",
            "reserved_percent": "Of its transports' sessions, rates and quotas; no other stream may use that part while "
            f"it is wanted. Empty: {RESERVED['transactional']} for transactional mail, none for bulk.",
        }

    field_order = [
        "name",
        "kind",
        "environment",
        "domain",
        "routing",
        *(name for pair in zip(_ROUTES, _WEIGHTS, strict=True) for name in pair),
        "owner",
        *(name for part in _PARTS.values() for name in part),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(is_active=True).exclude(role=Role.NONE).order_by("name")
        self.fields["owner"].queryset = people  # type: ignore[attr-defined]
        self.fields["owner"].empty_label = "Nobody yet"  # type: ignore[attr-defined]
        self.fields["domain"].empty_label = "Choose a domain"  # type: ignore[attr-defined]
        patience = PATIENCE[self.instance.kind]
        steps = self.instance.backoff_seconds or patience.backoff_seconds
        is_set = bool(self.instance.backoff_seconds)
        expiry = self.instance.expiry_seconds if is_set else patience.expiry_seconds
        self.initial.setdefault("backoff", show_durations(steps))
        self.initial.setdefault("expiry", show_duration(expiry))
        if self.instance.pk:
            routes = list(self.instance.routes.order_by("position"))
            self.initial.update(zip(_ROUTES, (r.transport_id for r in routes), strict=False))
            self.initial.update(zip(_WEIGHTS, (r.weight for r in routes), strict=False))
            self.fields["seen"] = field_of(self.instance.mark)

    def clean_backoff(self) -> list[int]:
        steps = _read(parse_durations, self.cleaned_data["backoff"])
        if not 0 < len(steps) <= 20:
            raise forms.ValidationError("Give between 1 and 20 waits.")
        if not all(1 <= step <= _DAY for step in steps):
            raise forms.ValidationError("Each wait is between 1 s and 1 d.")
        return steps

    def clean_expiry(self) -> int:
        expiry = _read(parse_duration, self.cleaned_data["expiry"])
        if not 30 <= expiry <= 14 * _DAY:
            raise forms.ValidationError("Between 30 s and 14 d.")
        return expiry

    def clean_rate_per_minute(self) -> int | None:
        rate: int | None = self.cleaned_data["rate_per_minute"]
        if rate == 0:
            raise forms.ValidationError("At least 1; to stop it, pause the stream.")
        return rate

    def clean_reserved_percent(self) -> int | None:
        percent: int | None = self.cleaned_data["reserved_percent"]
        if percent is not None and percent > _MOST_RESERVED:
            raise forms.ValidationError(f"At most {_MOST_RESERVED}: the others must not starve.")
        return percent

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        seen: set[Transport] = set()
        for name in _ROUTES:
            transport = cleaned.get(name)
            if transport in seen:
                self.add_error(name, "It is in the list already.")
            elif transport:
                seen.add(transport)
                if transport.environment != cleaned.get("environment"):
                    self.add_error(
                        name,
                        f"It is for {transport.get_environment_display().lower()}, the stream is not.",
                    )
        for name in ("tracks_opens", "tracks_clicks"):
            if cleaned.get("is_sensitive") and cleaned.get(name):
                # the links of such mail are keys: nobody else may see them, not even in a log of addresses
                self.add_error(name, "Links in sensitive mail stay with its recipient.")
        steps, expiry = cleaned.get("backoff"), cleaned.get("expiry")
        if steps and expiry and steps[0] >= expiry:
            self.add_error("expiry", "This is over before the first wait is.")
        self.instance.backoff_seconds = steps or []
        self.instance.expiry_seconds = expiry or 0
        return cleaned

    @property
    def first_fields(self) -> list[forms.BoundField]:
        """Those that everybody fills in."""
        later = {name for part in _PARTS.values() for name in part}
        return [field for field in self.visible_fields() if field.name not in later]

    @property
    def parts(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """The others: a title, its fields, and whether one of them is wrong."""
        return [
            (title, [self[name] for name in names], any(name in self.errors for name in names))
            for title, names in _PARTS.items()
        ]

    @property
    def seen(self) -> str | None:
        """The mark of the stream as the form showed it."""
        return self.cleaned_data.get("seen")

    @property
    def weights(self) -> list[int]:
        pairs = zip(_ROUTES, _WEIGHTS, strict=True)
        return [self.cleaned_data[w] or 1 for name, w in pairs if self.cleaned_data[name]]

    @property
    def transports(self) -> list[Transport]:
        return [self.cleaned_data[name] for name in _ROUTES if self.cleaned_data[name]]


class StreamFilterForm(forms.Form):
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=253,
        widget=forms.SearchInput(),
    )
    kind = forms.ChoiceField(required=False, choices=[("", "Any"), *Stream.Kind.choices])
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *RunState.choices])

    def apply(self, streams: StreamQuerySet) -> StreamQuerySet:
        """Return those of `streams` that the filter asks for."""
        if text := self.cleaned_data.get("q"):
            streams = streams.filter(Q(name__icontains=text) | Q(domain__name__icontains=text))
        for name in ("kind", "state"):
            if value := self.cleaned_data.get(name):
                streams = streams.filter(**{name: value})
        return streams


def _read(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise forms.ValidationError(f"{error}.") from error
