from importlib import import_module

import pytest
from django.apps import apps

from mailops.feedback.models import Mailbox

pytestmark = pytest.mark.django_db


def test_who_goes_back_before_mails_could_be_left_meets_them_again():
    fields = {"host": "imap.example.com", "last_uid": 90}
    for name, left in (
        ("Nothing", {}),
        ("Refused", {"refused_uids": [40, 12]}),
        ("Stored", {"refused_uids": [40], "left_spans": [[7, 9], [50, 60]]}),
    ):
        Mailbox.objects.create(name=name, username=name, **fields, **left)
    migration = import_module("mailops.feedback.migrations.0010_mails_that_are_left")
    migration.go_back_to_what_was_left(apps, None)
    assert dict(Mailbox.objects.values_list("name", "last_uid")) == {
        "Nothing": 90,
        "Refused": 11,
        "Stored": 6,
    }
