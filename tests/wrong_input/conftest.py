import pytest
from django.utils import timezone

from mailops.incidents.models import Watch
from tests.domains.zones import dns, dns_server  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _empty_dns(dns):  # noqa: F811
    """Answer every name at once, with nothing."""


@pytest.fixture
def browser(admin, logged_in):
    """Return a client that may do everything, while somebody looks for trouble."""
    now = timezone.now()
    Watch.objects.create(since_at=now, looked_at=now)
    return logged_in(admin)
