"""Sender domains: the records we expect, what DNS shows, how that changed."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Lower


class CheckStatus(models.TextChoices):
    UNKNOWN = "unknown", "Not known"  # never checked, or DNS could not be asked
    OK = "ok", "OK"  # alignment holds
    WARNING = "warning", "Warning"  # works, but a receiver may mind
    ERROR = "error", "Broken"  # mail from this domain fails authentication


class Domain(models.Model):
    name = models.CharField(max_length=253)  # as A-labels, lower case
    owner = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    status = models.CharField(
        max_length=10, choices=CheckStatus.choices, default=CheckStatus.UNKNOWN
    )
    checked_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    broken_since_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("name"), name="domain_name_unique")]

    def __str__(self) -> str:
        return self.name


class Identity(models.Model):
    """Whom mail says it is from: a header From of a domain, with a name and a Reply-To; never edited once used."""

    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="identities")
    name = models.CharField(max_length=100)
    local_part = models.CharField(max_length=64)
    reply_to = models.EmailField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    @property
    def addr_spec(self) -> str:
        return f"{self.local_part}@{self.domain.name}"

    def __str__(self) -> str:
        return f"{self.name} <{self.addr_spec}>"


class Requirement(models.Model):
    """A record that something of ours needs this domain to publish, written down by whoever needs it."""

    class Kind(models.TextChoices):
        SPF_INCLUDE = "spf_include", "SPF include"  # value: the include's domain
        SPF_ADDRESS = "spf_address", "SPF address"  # value: an IP address or network
        DKIM_SELECTOR = (
            "dkim_selector",
            "DKIM key",
        )  # host: selector; value: the key record, or empty if only its presence is needed
        RETURN_PATH = (
            "return_path",
            "Return path",
        )  # host: the return-path host; value: the MX it must have
        DMARC = "dmarc", "DMARC policy"  # value: the least policy

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="requirements")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    host = models.CharField(max_length=253, blank=True)
    value = models.TextField(blank=True)
    needed_by = models.CharField(
        max_length=100
    )  # "transport: Sandbox", for people; unique with kind and host

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain", "kind", "host", "value", "needed_by"], name="requirement_unique"
            )
        ]
