"""Contacts, lists, imports, consent."""

from typing import ClassVar

from django.db import models


class Contact(models.Model):
    address = models.CharField(max_length=320)  # as given
    address_key = models.CharField(max_length=320, unique=True)  # protocol.address.address_key
    attributes = models.JSONField(default=dict)  # plain scalars, merge data for templates
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.address


class Audience(models.Model):
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One contact in one audience, with what says that it agreed."""

    audience = models.ForeignKey(Audience, on_delete=models.CASCADE, related_name="memberships")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="memberships")
    consent = models.CharField(max_length=254, blank=True)  # where the consent came from
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["audience", "contact"], name="membership_once")
        ]


class Import(models.Model):
    """One uploaded file and the account of every row in it."""

    class State(models.TextChoices):
        MAPPING = "mapping", "Choose columns"  # uploaded, waits for a person to map columns
        RUNNING = "running", "Running"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"  # `sentence` says why

    audience = models.ForeignKey(Audience, on_delete=models.CASCADE, related_name="imports")
    file_name = models.CharField(max_length=254)
    state = models.CharField(max_length=10, choices=State.choices, default=State.MAPPING)
    sentence = models.TextField(blank=True)
    created_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
