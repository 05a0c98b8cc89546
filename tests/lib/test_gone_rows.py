"""A row deleted between a view's look and its verb's lock."""

import pytest
from django.urls import reverse

from mailops.incidents import views
from mailops.incidents.models import Incident
from tests.factories import make_incident

pytestmark = pytest.mark.django_db


def test_a_row_that_is_deleted_in_between_is_not_found(admin, logged_in, monkeypatch, caplog):
    incident = make_incident()
    load = views.get_object_or_404

    def load_and_lose(*args, **kwargs):
        found = load(*args, **kwargs)
        Incident.objects.filter(pk=incident.pk).delete()
        return found

    monkeypatch.setattr(views, "get_object_or_404", load_and_lose)
    address = reverse("incidents:acknowledge", args=[incident.pk])
    response = logged_in(admin).post(address)
    assert response.status_code == 404
    assert "DoesNotExist" in caplog.text
