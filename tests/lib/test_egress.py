import socket

import pytest

from mailops.lib import egress
from mailops.lib.egress import EgressFault


@pytest.fixture
def names(monkeypatch):
    """Return a dictionary that stands for the name servers."""
    table = {}
    monkeypatch.setattr(egress, "_addresses_of", lambda host: table.get(host, []))
    return table


class TestResolve:
    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "168.63.129.16",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "64:ff9b:1::7f00:1",
            "2001:0:7f00:1::",
            "::7f00:1",
            "::ffff:0:7f00:1",
        ],
    )
    def test_refuses_what_is_not_public_and_does_not_say_where_it_leads(self, address, names):
        names["inside.example"] = [address]
        for host in (address, "inside.example"):
            with pytest.raises(EgressFault) as fault:
                egress.resolve(host, 443)
            assert fault.value.cause == "not_allowed"
        assert address not in fault.value.detail

    def test_pins_the_public_addresses_only(self, names):
        names["mixed.example"] = ["10.0.0.1", "93.184.215.14", "2606:4700::1111"]
        endpoint = egress.resolve("mixed.example", 443)
        assert endpoint.addresses == ("93.184.215.14", "2606:4700::1111")

    def test_says_when_a_name_has_no_address(self, names):
        with pytest.raises(EgressFault) as fault:
            egress.resolve("nowhere.example", 443)
        assert fault.value.cause == "not_found"

    def test_lets_exactly_the_trusted_pair_through(self, settings):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", 2525)})
        assert egress.resolve("127.0.0.1", 2525).addresses == ("127.0.0.1",)
        with pytest.raises(EgressFault):
            egress.resolve("127.0.0.1", 2526)

    @pytest.mark.parametrize("host", ["2130706433", "0x7f000001"])
    def test_is_not_fooled_by_other_spellings_of_an_address(self, host):
        with pytest.raises(EgressFault):
            egress.resolve(host, 443)

    def test_a_name_that_changes_its_mind_is_not_asked_again(self, monkeypatch):
        answers = iter([["93.184.215.14"], ["127.0.0.1"]])
        monkeypatch.setattr(egress, "_addresses_of", lambda _: next(answers))
        tried = []

        def refuse(address, timeout):
            tried.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "create_connection", refuse)
        with pytest.raises(EgressFault):
            egress.connect(egress.resolve("rebinding.example", 443), timeout=1)
        assert tried == [("93.184.215.14", 443)]


class TestConnect:
    def test_goes_on_to_the_next_address(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            endpoint = egress.Endpoint("x.example", port, ("::1", "127.0.0.1"))
            connection, address = egress.connect(endpoint, timeout=2)
            connection.close()
        assert address == "127.0.0.1"

    def test_names_a_refusal(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(EgressFault) as fault:
            egress.connect(egress.Endpoint("x.example", port, ("127.0.0.1",)), timeout=2)
        assert fault.value.cause == "refused"


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("https://hooks.example.com/x?key=1", True),
        ("HTTPS://hooks.example.com:8443", True),
        ("http://10.0.0.9:25/x", True),  # trusted
        ("http://10.0.0.9:26/x", False),
        ("ftp://10.0.0.9:25/x", False),
        ("http://hooks.example.com/", False),
        ("https://user@hooks.example.com/", False),
        ("https://hooks.example.com:nan/", False),
        ("https://[::1/", False),
        ("https://", False),
        (f"https://{'a.' * 127}com/", False),
        ("https://hooks.example.com/ x", False),
        ("https://hooks.example.com/\nx", False),
        ("https://höoks.example.com/", False),
    ],
)
def test_secrets_go_by_https_or_to_trusted_relays(settings, url, is_so):
    settings.MAILOPS_TRUSTED_RELAYS = frozenset({("10.0.0.9", 25)})
    assert egress.is_confidential(url) is is_so
