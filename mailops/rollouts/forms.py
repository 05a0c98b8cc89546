"""Validates what people sign and launch."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from mailops.lib.confirm import ConfirmForm
from mailops.lib.moments import TypedTimeField
from mailops.lib.written_words import LinesField
from mailops.protocol.address import InvalidAddress, parse_address
from mailops.rollouts.items import Item
from mailops.transports.models import Stream, Transport

LEAST_NOTE = 10  # letters; less says nothing to whoever reads it later
FARTHEST = timedelta(days=365)  # a start farther ahead is a slip of the pen


class SignForm(forms.Form):
    note = LinesField(
        label="What did you look at?",
        min_length=LEAST_NOTE,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(self, *args: Any, asked: Item, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        longest = (asked.signed_for or timedelta(days=1)).days
        self.fields["days"] = forms.IntegerField(
            label="Good for how many days?",
            min_value=1,
            max_value=longest,
            initial=longest,
            help_text=f"At most {longest}; then somebody must look again.",
        )

    @property
    def lasts(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


class LaunchForm(ConfirmForm):
    """When to start, why in spite of objections, and the name typed out."""

    at = TypedTimeField(
        label="Start at",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
    )
    override_reason = LinesField(
        label="Why launch although not everything holds?",
        min_length=LEAST_NOTE,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=f"In {LEAST_NOTE} letters or more. It is kept with your name and with what did not hold. "
        "At a later start it passes only what you see here, for no more people: else the campaign waits for you.",
    )
    field_order = ["at", "override_reason", "typed_name"]

    def __init__(self, *args: Any, needs_reason: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = timezone.get_current_timezone_name()
        self.fields["at"].help_text = f"Empty: at once. In your time zone, {zone}."
        if not needs_reason:
            del self.fields["override_reason"]

    def clean_at(self) -> datetime | None:
        at: datetime | None = self.cleaned_data["at"]
        if at is not None and not timezone.now() < at < timezone.now() + FARTHEST:
            raise forms.ValidationError("Give a time in the next year, or leave it empty.")
        return at


class ProbeForm(forms.Form):
    """Which way out to try, and where the copy is to be captured."""

    transport = forms.ModelChoiceField(Transport.objects.none())
    recipient = forms.CharField(
        label="To a sandbox inbox",
        max_length=320,
        help_text="Whatever the sandbox receiver takes. Behind a real provider: an address of a domain whose MX is this sandbox.",
    )

    def __init__(self, *args: Any, stream: Stream, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["transport"]
        field.queryset = Transport.objects.filter(routes__stream=stream).order_by(
            "routes__position"
        )
        field.empty_label = None

    def clean_recipient(self) -> str:
        try:
            address = parse_address(self.cleaned_data["recipient"])
        except InvalidAddress as error:
            raise forms.ValidationError(str(error)) from error
        if not address.addr_spec.isascii():
            raise forms.ValidationError("Give an address in ASCII.")
        return address.addr_spec
