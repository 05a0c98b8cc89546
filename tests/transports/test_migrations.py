from importlib import import_module

import pytest
from django.apps import apps

from mailops.domains.aligning import alignments_of
from tests.factories import make_domain, make_stream, make_transport

pytestmark = pytest.mark.django_db


def test_streams_that_were_saved_long_ago_have_a_way_for_their_mail():
    domain = make_domain(name="acme.example")
    relay = make_transport(name="Relay")
    api = make_transport(name="Provider", kind="postmark")
    for transport in (relay, relay, api):
        make_stream(domain=domain, transport=transport)
    say_who_signs = import_module("mailops.transports.migrations.0012_say_who_signs").say_who_signs
    say_who_signs(apps, None)
    say_who_signs(apps, None)
    assert set(domain.requirements.values_list("needed_by", "value")) == {
        ("transport: Relay", "signed by mailops"),
        ("transport: Provider", "signed by the provider"),
    }
    assert set(alignments_of(domain)) == {"transport: Relay", "transport: Provider"}
    domain.refresh_from_db()
    assert domain.is_check_due
