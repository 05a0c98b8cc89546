"""What the incident pages may be asked and given."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet

from mailops.accounts.meanwhile import field_of
from mailops.accounts.models import User
from mailops.accounts.permissions import MATRIX, Act
from mailops.domains.models import Identity
from mailops.incidents.models import Incident, Level, NotificationChannel, SubjectKind, Threshold
from mailops.lib.egress import is_confidential
from mailops.lib.write_only import WriteOnlyURL
from mailops.lib.written_words import LineField, LinesField
from mailops.protocol.address import InvalidAddress, parse_address
from mailops.transports.models import Stream
from mailops.transports.ties import foreign_sender


class FilterForm(forms.Form):
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *Incident.State.choices])
    subject = forms.ChoiceField(
        label="About", required=False, choices=[("", "Any"), *SubjectKind.choices]
    )


class NoteForm(forms.Form):
    text = LinesField(label="Note", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class CloseForm(forms.Form):
    reason = LinesField(
        label="What was it, and what was done?",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


def _operators() -> QuerySet[User]:
    roles = [role for role, acts in MATRIX.items() if Act.OPERATE in acts]
    return User.objects.filter(is_active=True, role__in=roles).order_by("email")


class OwnerForm(forms.Form):
    owner = forms.ModelChoiceField(_operators(), required=False, empty_label="Nobody")
    seen = field_of("")


SPAN = "Give 15 minutes to 7 days (10,080 minutes)."
SOME = "Give one message or more, at most 2,147,483,647."
PERCENT = "Give more than 0 and at most 100 percent, with at most 3 digits behind the point."
_OUTSIDE = ("invalid", "min_value", "max_value")
_DIGITS = ("max_digits", "max_decimal_places", "max_whole_digits")


class ThresholdForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Threshold
        fields = Threshold.SETTINGS
        labels = {
            "is_enabled": "Watch this",
            "window_minutes": "Window, in minutes",
            "sample_floor": "Least number of messages",
            "warn": "Warn at, in percent",
            "act": "Act at, in percent",
            "stop": "Stop at, in percent",
            "pauses": "Pause the stream at the level to stop",
            "why": "Why these numbers",
        }
        help_texts = {
            "is_enabled": "Switched off, it closes its open incidents; what is paused stays paused.",
            "window_minutes": "15 minutes to 7 days; counts come in quarter hours.",
            "sample_floor": "Fewer messages in the window say nothing.",
            "warn": "Opens an incident. Empty, here or below: this level is never reached.",
            "act": "The incident becomes critical.",
        }
        error_messages: ClassVar = {
            "window_minutes": dict.fromkeys(_OUTSIDE, SPAN),
            "sample_floor": dict.fromkeys(_OUTSIDE, SOME),
            **{name: dict.fromkeys((*_OUTSIDE, *_DIGITS), PERCENT) for name in Level.values},
        }
        field_classes: ClassVar = {"why": LinesField}
        widgets = {"why": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("warn", "act", "stop"):  # "10.000" reads as ten thousand to half of the world
            if (level := getattr(self.instance, name)) is not None:
                self.initial[name] = Decimal(f"{level.normalize():f}")
        self.fields["seen"] = field_of(self.instance.mark)
        if not self.instance.is_rate:
            for name in ("window_minutes", "warn", "act", "stop", "pauses"):
                del self.fields[name]
            if not self.instance.counts_messages:
                del self.fields["sample_floor"]
        elif self.instance.subject_kind == SubjectKind.TRANSPORT:
            self.fields["pauses"].label = "Pause the transport at the level to stop"

    def clean_window_minutes(self) -> int:
        minutes: int = self.cleaned_data["window_minutes"]
        if not 15 <= minutes <= 7 * 24 * 60:
            raise forms.ValidationError(SPAN)
        return minutes

    def clean_sample_floor(self) -> int:
        floor: int = self.cleaned_data["sample_floor"]
        if floor < 1:
            raise forms.ValidationError(SOME)
        return floor

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        levels = [(name, given[name]) for name in Level.values if given.get(name) is not None]
        for name, percent in levels:
            if not 0 < percent <= 100:
                self.add_error(name, PERCENT)
        percents = [percent for _, percent in levels]
        if percents != sorted(percents):
            self.add_error("stop", "The levels must rise: warn, act, stop.")
        return given


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    url = forms.CharField(
        label="Webhook address",
        required=False,
        max_length=2000,
        help_text="https://…; kept encrypted, since such addresses hold a token.",
        widget=WriteOnlyURL(attrs={"autocomplete": "off"}),
    )
    stream = forms.ModelChoiceField(
        Stream.objects.order_by("name"),
        empty_label="Choose a stream",
        help_text="While its transports stand still it can tell nobody: give two channels over two transports.",
    )
    identity = forms.ModelChoiceField(
        Identity.objects.select_related("domain").order_by("name"),
        empty_label="Choose a sender",
        help_text="Whom the mail says it is from, of the stream's domain.",
    )

    class Meta:
        model = NotificationChannel
        fields = (
            "name",
            "least_level",
            "url",
            "recipient",
            "stream",
            "identity",
            "is_enabled",
        )
        field_classes: ClassVar = {"name": LineField}
        labels = {"least_level": "Tell from this level", "is_enabled": "Tell this channel"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["seen"] = field_of(self.instance.mark)
        if self.instance.is_webhook:
            for name in ("recipient", "stream", "identity"):
                del self.fields[name]
            self.fields["url"].required = not self.instance.sealed_url
            if self.instance.sealed_url:
                self.fields["url"].help_text = f"{self.instance.place}; empty: stays as it is."
            return
        del self.fields["url"]
        self.fields["recipient"].required = True

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        if url and not is_confidential(url):
            raise forms.ValidationError(
                "Give an address like https://hooks.example.com/…: what is told is nobody else's business."
            )
        return url

    def clean_recipient(self) -> str:
        recipient: str = self.cleaned_data["recipient"]
        if recipient:
            try:
                parse_address(recipient)
            except InvalidAddress as error:
                raise forms.ValidationError(error.sentence) from None
        return recipient

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        stream, identity = given.get("stream"), given.get("identity")
        if stream and identity and (why := foreign_sender(stream, identity)):
            self.add_error("identity", why)
        return given
