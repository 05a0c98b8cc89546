import pytest

from tests.domains.zones import dns, dns_server  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _empty_dns(dns):  # noqa: F811
    """Answer every name at once, with nothing."""


@pytest.fixture
def browser(admin, logged_in):
    """Return a client that may do everything."""
    return logged_in(admin)
