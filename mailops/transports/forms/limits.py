"""Forms about what mailbox providers are sent at most."""

from typing import Any, ClassVar

from django import forms

from mailops.lib.mailbox_providers import NAMES
from mailops.protocol.address import InvalidAddress, domain_key
from mailops.transports.models import ProviderLimit
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
        fields: ClassVar[list[str]] = [
            "mailbox_provider",
            "max_sessions",
            "messages_per_session",
            "rate_per_minute",
            "note",
        ]
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

    def clean_mailbox_provider(self) -> str:
        return read_provider(self.cleaned_data["mailbox_provider"])

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
        widget=forms.TextInput(attrs={"type": "search"}),
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
