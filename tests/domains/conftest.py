from tests.domains.zones import asks, dns, dns_server, good  # noqa: F401 - fixtures
