"""What is done and what is told of it are one: where the trail can't be written, nothing was done."""

import pytest
from django.db import DatabaseError
from django.urls import reverse

from mailops.accounts.models import AuditEntry, User
from mailops.domains.models import Identity, Requirement
from mailops.outbox.models import Event, Message
from tests.factories import make_domain, make_identity, make_message


def save_profile():
    return reverse("accounts:profile"), {"name": "Other", "time_zone": "UTC"}


def add_identity():
    address = reverse("domains:identity-add", args=[make_domain().pk])
    return address, {"name": "News", "local_part": "news"}


def delete_identity():
    return reverse("domains:identity-delete", args=[make_identity().pk]), {}


def expect_record():
    address = reverse("domains:requirement-add", args=[make_domain().pk])
    return address, {"kind": "dmarc", "value": "reject"}


def hold_message():
    return reverse("outbox:hold", args=[make_message().public_id]), {}


def retry_message():
    failed = make_message(status="failed", with_entry=False)
    return reverse("outbox:retry", args=[failed.public_id]), {}


def standing():
    kept = (
        (User, "name"),
        (Identity, "name"),
        (Requirement, "value"),
        (Message, "status"),
        (Event, "kind"),
    )
    return [[*model.objects.order_by("pk").values_list("pk", field)] for model, field in kept]


ACTS = [
    save_profile, add_identity, delete_identity, expect_record, hold_message, retry_message,
]  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
def test_what_could_not_be_told_was_not_done(act, admin, logged_in, monkeypatch):
    client = logged_in(admin)
    address, form = act()
    before = standing()

    def fail(**_given):
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(AuditEntry.objects, "create", fail)
    client.raise_request_exception = False
    assert client.post(address, form).status_code >= 500
    assert standing() == before
