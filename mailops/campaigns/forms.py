"""What people type about campaigns."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import Max, OuterRef, Q, Subquery
from django.utils import timezone

from mailops.accounts.meanwhile import field_of
from mailops.audiences.models import Audience
from mailops.campaigns.fitting import misfits
from mailops.campaigns.models import Campaign
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.domains.models import Identity
from mailops.lib.moments import TypedTimeField
from mailops.lib.written_words import LineField
from mailops.transports.forms.hours import HoursForm
from mailops.transports.models import Stream

FARTHEST = timedelta(days=365)


class CampaignForm(forms.Form):
    """A draft; the sender must be of the stream's domain."""

    name = LineField(max_length=150, help_text="For your team; recipients don't see it.")
    audience = forms.ModelChoiceField(Audience.objects.none(), empty_label="Choose an audience")
    version = forms.ModelChoiceField(
        TemplateVersion.objects.none(),
        label="Template",
        empty_label="Choose a published version",
        help_text="The newest version of each template; what is published later doesn't change this campaign.",
    )
    stream = forms.ModelChoiceField(Stream.objects.none(), empty_label="Choose a stream")
    identity = forms.ModelChoiceField(
        Identity.objects.none(), label="From", empty_label="Choose a sender"
    )

    revision = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    @classmethod
    def of(cls, campaign: Campaign, data: Mapping[str, Any] | None = None) -> "CampaignForm":
        """Return the form that shows `campaign`, filled with `data` if there is any."""
        initial = {
            "name": campaign.name,
            "audience": campaign.audience_id,
            "version": campaign.version_id,
            "stream": campaign.stream_id,
            "identity": campaign.identity_id,
            "revision": campaign.revision,
        }
        return cls(data, initial=initial, campaign=campaign)

    def __init__(self, *args: Any, campaign: Campaign | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if campaign is None:
            del self.fields["revision"]
        self.fields["audience"].queryset = Audience.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["version"].queryset = _versions(campaign)  # type: ignore[attr-defined]
        self.fields["stream"].queryset = Stream.objects.select_related("domain").order_by(  # type: ignore[attr-defined]
            "-kind", "name"
        )
        self.fields["stream"].label_from_instance = _stream_label  # type: ignore[attr-defined]
        self.fields["identity"].queryset = Identity.objects.select_related("domain").order_by(  # type: ignore[attr-defined]
            "domain__name", "name"
        )

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        stream, identity = cleaned.get("stream"), cleaned.get("identity")
        for name, why in misfits(stream, identity).items() if stream else ():
            self.add_error(name, why)
        return cleaned


def _stream_label(stream: Stream) -> str:
    return f"{stream} ({stream.domain}, {stream.get_kind_display().lower()})"


def _versions(campaign: Campaign | None) -> Any:
    """Return the newest version of each template in use, and the one the campaign has."""
    newest = (
        TemplateVersion.objects.filter(template=OuterRef("template"))
        .values("template")
        .annotate(newest=Max("number"))
        .values("newest")
    )
    wanted = Q(number=Subquery(newest), template__in=MailTemplate.objects.current().mails())
    if campaign is not None:
        wanted |= Q(pk=campaign.version_id)
    return (
        TemplateVersion.objects.filter(wanted)
        .select_related("template")
        .order_by("template__name", "-number")
    )


class ScheduleForm(forms.Form):
    """A time to start at, in the viewer's zone, in place of the one with the `mark`."""

    at = TypedTimeField(
        label="Start at",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
    )

    def __init__(self, *args: Any, mark: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen"] = field_of(mark)
        self.fields["at"].help_text = f"In your time zone, {timezone.get_current_timezone_name()}."

    def clean_at(self) -> Any:
        at = self.cleaned_data["at"]
        if at <= timezone.now():
            raise forms.ValidationError("That time is past.")
        if at > timezone.now() + FARTHEST:
            raise forms.ValidationError("That is more than a year ahead.")
        return at


class CampaignHoursForm(HoursForm):
    """The hours of a campaign: its stream's until it starts, or its own."""

    STREAM, OWN = "stream", "own"

    whose = forms.ChoiceField(label="It keeps", widget=forms.RadioSelect)
    field_order = ["whose"]

    def __init__(self, *args: Any, campaign: Campaign, **kwargs: Any) -> None:
        stream = campaign.stream
        whose = self.OWN if campaign.has_own_hours else self.STREAM
        shown = {"whose": whose, "revision": campaign.hours_revision}
        initial = {**self.initial_of(campaign.keeps), **shown}
        above = f"{stream.time_zone}, the stream's" if stream.time_zone else ""
        super().__init__(*args, initial=initial, above=above, **kwargs)
        self.campaign = campaign
        if campaign.has_messages:
            del self.fields["whose"]
            return
        self.fields["whose"].choices = [  # type: ignore[attr-defined]
            (self.STREAM, f"the hours of its stream, {stream}: {stream.hours_in_words}"),
            (self.OWN, "hours of its own, as below"),
        ]

    def clean(self) -> dict[str, Any]:
        if self.campaign.has_messages and self.data.get("whose") == self.STREAM:
            raise forms.ValidationError(
                f"This campaign started meanwhile and keeps the hours of its start: {self.campaign.hours_in_words}. It "
                "does not follow its stream any more. Look at the hours below, and save them if they are to count."
            )
        if "whose" in self.errors or self.has_own_hours:
            return super().clean()
        nothing = self.initial_of(Campaign())
        self.cleaned_data.update(nothing)
        return self.cleaned_data

    @property
    def has_own_hours(self) -> bool:
        return bool(self.cleaned_data.get("whose", self.OWN) == self.OWN)


class ReasonForm(forms.Form):
    reason = LineField(
        required=False,
        max_length=300,
        label="Why?",
        widget=forms.TextInput(attrs={"placeholder": "for those who look at it next"}),
    )


class CampaignFilterForm(forms.Form):
    search = forms.CharField(
        required=False,
        max_length=150,
        label="Name",
        widget=forms.SearchInput(),
    )
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *Campaign.State.choices])
