"""Validates what people enter about domains, in forms and in query strings."""

import re
from typing import Any, ClassVar

from django import forms
from django.db.models import Q, QuerySet

from mailops.accounts.meanwhile import field_of
from mailops.accounts.models import Role, User
from mailops.domains.models import (
    CheckStatus,
    Domain,
    DomainQuerySet,
    Identity,
    Requirement,
    SigningKey,
)
from mailops.lib.written_words import LineField
from mailops.protocol.address import InvalidAddress, domain_key, parse_address
from mailops.protocol.dns_records import DMARC_POLICIES, parse_dkim
from mailops.protocol.spf_record import included_domain, parse_spf

_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


LONGEST_GRACE = 720  # hours; thirty days of refused mail are what a name does not survive


_AROUND_A_HOST = re.compile(r"^\s*[a-z][a-z0-9+.-]*://|[/?#].*$", re.IGNORECASE | re.DOTALL)


def _read_domain(text: str) -> str:
    """Return the domain in `text`, which may be the address of a page."""
    try:
        return domain_key(_AROUND_A_HOST.sub("", text))
    except InvalidAddress as error:
        raise forms.ValidationError(str(error)) from error


class OwnerForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Domain
        fields: ClassVar[list[str]] = ["owner", "grace_hours"]
        labels: ClassVar = {"grace_hours": "Hours of grace"}
        help_texts: ClassVar = {
            "owner": "Who mends its records when a check fails.",
            "grace_hours": "How long SPF, DKIM or DMARC may be broken before bulk mail from it stops; transactional mail goes on.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(is_active=True).exclude(role=Role.NONE).order_by("name")
        self.fields["owner"].queryset = people  # type: ignore[attr-defined]
        self.fields["owner"].empty_label = "Nobody yet"  # type: ignore[attr-defined]
        self.fields["grace_hours"].required = False
        if self.instance.pk:
            self.fields["seen"] = field_of(self.instance.mark)

    def clean_grace_hours(self) -> int:
        hours = self.cleaned_data["grace_hours"]
        if hours is None:
            return int(self.instance.grace_hours)
        if not 1 <= hours <= LONGEST_GRACE:
            raise forms.ValidationError(f"Give 1 to {LONGEST_GRACE} hours.")
        return int(hours)


class DomainForm(OwnerForm):
    class Meta(OwnerForm.Meta):
        fields: ClassVar[list[str]] = ["name", "owner", "grace_hours"]
        labels: ClassVar = {**OwnerForm.Meta.labels, "name": "Domain"}
        help_texts: ClassVar = {
            **OwnerForm.Meta.help_texts,
            "name": "The part after the @ in the From address, such as news.example.com.",
        }

    def clean_name(self) -> str:
        name = _read_domain(self.cleaned_data["name"])
        if Domain.objects.filter(name=name).exists():
            raise forms.ValidationError(f"{name} is already here.")
        return name


class DomainFilterForm(forms.Form):
    q = forms.CharField(
        label="Search",
        required=False,
        max_length=253,
        widget=forms.SearchInput(),
    )
    status = forms.ChoiceField(required=False, choices=[("", "Any"), *CheckStatus.choices])

    def apply(self, domains: DomainQuerySet) -> DomainQuerySet:
        """Return those of `domains` that the filter asks for."""
        if text := self.cleaned_data.get("q"):
            domains = domains.filter(Q(name__icontains=text) | Q(owner__name__icontains=text))
        if status := self.cleaned_data.get("status"):
            domains = domains.filter(status=status)
        return domains


class IdentityForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Identity
        fields: ClassVar[list[str]] = ["name", "local_part", "reply_to"]
        field_classes: ClassVar = {"name": LineField}
        labels: ClassVar = {"local_part": "Address before the @", "reply_to": "Reply to"}
        help_texts: ClassVar = {
            "name": "What inboxes show as the sender.",
            "reply_to": "Leave empty when answers go to the From address.",
        }

    def __init__(self, *args: Any, domain: Domain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.domain = domain

    def clean_local_part(self) -> str:
        local_part: str = self.cleaned_data["local_part"]
        try:
            return parse_address(f"{local_part}@{self.domain.name}").local_part
        except InvalidAddress as error:
            raise forms.ValidationError(str(error)) from error

    def clean_reply_to(self) -> str:
        reply_to: str = self.cleaned_data["reply_to"]
        try:
            return parse_address(reply_to).addr_spec if reply_to else ""
        except InvalidAddress as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        same = {
            "name": data.get("name"),
            "local_part": data.get("local_part"),
            "reply_to": data.get("reply_to"),
        }
        if not self.errors and self._identities().filter(**same).exists():
            raise forms.ValidationError("This identity is already here.")
        return data

    def _identities(self) -> QuerySet[Identity]:
        return self.domain.identities.all()


class RequirementForm(forms.ModelForm):  # type: ignore[type-arg]
    """A record that a person expects: a DKIM selector, an SPF include, a least DMARC policy."""

    KINDS = [
        (Requirement.Kind.DKIM_SELECTOR, "DKIM selector"),
        (Requirement.Kind.SPF_INCLUDE, "SPF include"),
        (Requirement.Kind.SPF_ADDRESS, "SPF address or network"),
        (Requirement.Kind.DMARC, "DMARC policy, at least"),
    ]
    kind = forms.ChoiceField(label="Record", choices=KINDS)
    value = forms.CharField(
        max_length=1000,
        help_text="A selector (s1), an include (_spf.provider.com), an address or network, or a policy (quarantine).",
    )
    key = forms.CharField(
        label="DKIM key record",
        required=False,
        max_length=2000,
        help_text="For a selector: what your provider tells you to publish. Empty: any valid key will do.",
    )

    class Meta:
        model = Requirement
        fields: ClassVar[list[str]] = ["kind"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        value = str(data.get("value", "")).strip().lower()
        read = {
            Requirement.Kind.DKIM_SELECTOR: self._read_selector,
            Requirement.Kind.SPF_INCLUDE: self._read_include,
            Requirement.Kind.SPF_ADDRESS: self._read_address,
            Requirement.Kind.DMARC: self._read_policy,
        }
        if value and "kind" in data:
            self.instance.host, self.instance.value = read[data["kind"]](value, data.get("key", ""))
        return data

    def _read_selector(self, value: str, key: str) -> tuple[str, str]:
        selector = value.partition("._domainkey")[0]
        if not _SELECTOR.fullmatch(selector) or len(selector) > 63:
            self.add_error("value", "A selector is made of letters, digits, hyphens and dots.")
        record = key.strip().strip('"')
        if record and (problems := parse_dkim(record).problems):
            self.add_error("key", f"This is not a DKIM key record: {problems[0]}.")
        return selector, record

    def _read_include(self, value: str, _: str) -> tuple[str, str]:
        try:
            return "", included_domain(value)
        except ValueError as error:
            self.add_error("value", str(error))
            return "", ""

    def _read_address(self, value: str, _: str) -> tuple[str, str]:
        address = value.removeprefix("ip4:").removeprefix("ip6:")
        version = "ip6" if ":" in address else "ip4"
        if parse_spf(f"v=spf1 {version}:{address}").problems or " " in address:
            self.add_error("value", "Give an address or network, such as 192.0.2.0/24.")
        return "", address

    def _read_policy(self, value: str, _: str) -> tuple[str, str]:
        policy = value.removeprefix("p=")
        if policy not in DMARC_POLICIES:
            self.add_error("value", f"Give one of {', '.join(DMARC_POLICIES)}.")
        return "", policy


class SigningKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    algorithm = forms.ChoiceField(
        choices=SigningKey.Algorithm.choices,  # RSA, which stands first, unless one says otherwise
        help_text="Every receiver verifies RSA. Ed25519 is a second signature beside it, never the only one.",
    )

    class Meta:
        model = SigningKey
        fields: ClassVar[list[str]] = ["algorithm", "selector"]
        help_texts: ClassVar = {
            "selector": "The name of the key in DNS; no two keys of a domain share one.",
        }

    def __init__(self, *args: Any, domain: Domain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.domain = domain

    def clean_selector(self) -> str:
        selector: str = self.cleaned_data["selector"].strip().lower()
        if not _SELECTOR.fullmatch(selector):
            raise forms.ValidationError("A selector is made of letters, digits, hyphens and dots.")
        if self.domain.signing_keys.filter(selector=selector).exists():
            raise forms.ValidationError(
                f"A key of {self.domain} had this selector; choose another."
            )
        return selector
