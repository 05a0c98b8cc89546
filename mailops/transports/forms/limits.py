"""Forms about what mailbox providers are sent at most, and about warming up."""

from datetime import UTC, date, timedelta
from typing import Any, ClassVar

from django import forms
from django.utils import timezone

from mailops.accounts.meanwhile import field_of
from mailops.lib.mailbox_providers import NAMES
from mailops.lib.moments import DayField
from mailops.lib.written_words import LineField
from mailops.protocol.address import InvalidAddress, domain_key
from mailops.transports.limiting import StillWarming, ask_ramps
from mailops.transports.models import ProviderLimit, WarmUp
from mailops.transports.models.limits import ProviderLimitQuerySet

_BY_NAME = {name.casefold(): provider for provider, name in NAMES.items()}


def read_provider(text: str) -> str:
    """Return the word for a provider that a person named, or the domain that stands for it."""
    given = text.strip().casefold()
    if found := _BY_NAME.get(given) or (given if given in NAMES else ""):
        return found
    try:
        domain = domain_key(given)
    except InvalidAddress as error:
        raise forms.ValidationError(str(error)) from error
    if "." not in domain:
        raise forms.ValidationError(f"“{text}” is neither a known provider nor a domain.")
    return domain[:100]


class ProviderLimitForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ProviderLimit
        fields = ProviderLimit.SETTINGS
        field_classes: ClassVar = {"note": LineField}
        labels: ClassVar = {
            "max_sessions": "Sessions at once",
            "messages_per_session": "Messages a session",
            "rate_per_minute": "Messages a minute",
        }
        help_texts: ClassVar = {
            "mailbox_provider": "A name such as Gmail, or the domain that the recipients' MX hosts belong to.",
            "max_sessions": "That speak of its recipients, over all transports and processes. Empty for no limit.",
            "messages_per_session": "To its recipients; then the session ends. Empty for no limit.",
            "rate_per_minute": "Over all transports, streams and processes. Empty for no limit.",
            "note": "Where the numbers are from.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        provider = self.instance.mailbox_provider
        self.initial["mailbox_provider"] = NAMES.get(provider, provider)
        if self.instance.pk:
            self.fields["seen"] = field_of(self.instance.mark)

    def clean_mailbox_provider(self) -> str:
        provider = read_provider(self.cleaned_data["mailbox_provider"])
        if self.instance.pk and provider != self.instance.mailbox_provider:
            try:
                ask_ramps(self.instance)
            except StillWarming as error:
                raise forms.ValidationError(str(error)) from error
        return provider

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        numbers = ("max_sessions", "messages_per_session", "rate_per_minute")
        for name in numbers:
            if cleaned.get(name) == 0:
                self.add_error(name, "At least 1; to stop mail, pause a stream or transport.")
        if not self.errors and all(cleaned.get(name) is None for name in numbers):
            self.add_error(None, "Give at least one limit.")
        return cleaned


class ProviderFilterForm(forms.Form):
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=100,
        widget=forms.SearchInput(),
    )

    def apply(self, limits: ProviderLimitQuerySet) -> ProviderLimitQuerySet:
        """Return those of `limits` that the filter asks for."""
        text = self.cleaned_data.get("q")
        if not text:
            return limits
        named = [provider for name, provider in _BY_NAME.items() if text.casefold() in name]
        return limits.filter(mailbox_provider__icontains=text) | limits.filter(
            mailbox_provider__in=named
        )


_LONGEST_RAMP = 365  # days
_FARTHEST = timedelta(days=365)


class WarmUpForm(forms.ModelForm):  # type: ignore[type-arg]
    """The ramp of `transport`; a provider that mailops doesn't know by name needs limits of its own first."""

    mailbox_provider = forms.CharField(
        max_length=100,
        required=False,
        help_text="Such as Gmail. Empty: everybody without a ramp of their own, each by itself; "
        "domains that mailops doesn't know by name together.",
    )

    class Meta:
        model = WarmUp
        fields = WarmUp.SETTINGS
        labels: ClassVar = {
            "started_on": "First day",
            "first_day": "Messages on the first day",
            "growth_percent": "More each day, in percent",
            "full_volume": "Warm at so many messages a day",
        }
        help_texts: ClassVar = {
            "started_on": "A day goes from midnight to midnight UTC.",
            "growth_percent": "It grows by the calendar and stands still only while the transport is paused: after days "
            "on which little was sent, move the first day by as many.",
            "full_volume": "From the day on which that many could leave, nothing is held back.",
        }
        field_classes: ClassVar = {"started_on": DayField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        provider = self.instance.mailbox_provider
        self.initial["mailbox_provider"] = NAMES.get(provider, provider)
        self.initial["started_on"] = self.initial.get("started_on") or _today()
        if self.instance.pk:
            self.fields["seen"] = field_of(self.instance.mark)

    def clean_mailbox_provider(self) -> str:
        text = self.cleaned_data["mailbox_provider"]
        provider = read_provider(text) if text.strip() else ""
        if "." in provider and not ProviderLimit.objects.filter(mailbox_provider=provider).exists():
            raise forms.ValidationError(
                "mailops doesn't know it by name: give the domain limits of its own first, under Mailbox providers."
            )
        others = WarmUp.objects.filter(
            transport=self.instance.transport, mailbox_provider=provider
        ).exclude(pk=self.instance.pk)
        if others.exists():
            raise forms.ValidationError("This transport has a ramp for it already.")
        return provider

    def clean_started_on(self) -> date:
        first: date = self.cleaned_data["started_on"]
        if first > _today() + _FARTHEST:
            raise forms.ValidationError("That is more than a year ahead.")
        return first

    def clean_growth_percent(self) -> int:
        percent: int = self.cleaned_data["growth_percent"]
        if not 1 <= percent <= 300:
            raise forms.ValidationError("Between 1 and 300.")
        return percent

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        first, full = cleaned.get("first_day"), cleaned.get("full_volume")
        if first is not None and first < 1:
            self.add_error("first_day", "At least 1; to stop mail, pause the transport.")
        elif first and full is not None and full <= first:
            self.add_error("full_volume", "More than on the first day.")
        elif not self.errors:
            ramp = WarmUp(**{name: cleaned[name] for name in self.Meta.fields})
            if ramp.days > _LONGEST_RAMP:
                self.add_error("growth_percent", f"So it would take {ramp.days} days.")
        return cleaned


def _today() -> date:
    return timezone.now().astimezone(UTC).date()
