import pytest

from mailops.lib.client_address import client_address

PEER = "192.0.2.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.7", PEER),  # anybody may say so
        (1, None, PEER),
        (1, "", PEER),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "198.51.100.9, 203.0.113.7", "203.0.113.7"),  # the first is the client's own word
        (2, "198.51.100.9, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        (2, "203.0.113.7", PEER),  # it came past one of the two
        (1, "203.0.113.7:51234", "203.0.113.7"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "2001:DB8:0::1", "2001:db8::1"),
        (1, "fe80::1%<b>", "fe80::1"),
        (1, "unknown", PEER),
        (1, "203.0.113.7,", PEER),
        (1, "1" * 5000, PEER),
    ],
)
def test_is_what_the_outermost_proxy_of_ours_saw(settings, proxies, forwarded, address):
    settings.MAILOPS_TRUSTED_PROXIES = proxies
    said = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    assert client_address({"REMOTE_ADDR": PEER, **said}) == address
