import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mailops.lib.resolver import the_resolver
from tests.domains.zones import dns_server, patient  # noqa: F401 - a fixture

ZONES = {
    "plain.test": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all"]},
    "cut.test": {"TXT": [(b"v=spf1 ip4:192.0.2", b".0/24 -all")]},
    "parted.test": {"TXT": [(b"v=spf1", b"ip4:192.0.2.0/24 -all")]},
    "odd.test": {"TXT": [(b"v=spf1 ip4:192.0.2.0/24 x=\xff -all",)]},
    "long.test": {"TXT": ["v=spf1 " + "ip4:198.51.100.1 " * 200 + "-all", "something else " * 100]},
    "alias.test": {"CNAME": ["plain.test"]},
    "silent.test": {"TXT": ["v=spf1 -all"]},
    "bad.test": {"TXT": ["v=spf1 -all"]},
    "refusing.test": {"TXT": ["v=spf1 -all"]},
    "deep.test": {"TXT": ["v=spf1 include:silent.test -all"]},
    "spaced.test": {"TXT": ["v=spf1 exists:a%_b.x.test -all"]},
}


@pytest.fixture
def server(dns_server, monkeypatch):  # noqa: F811
    def ask(nameservers):
        the_resolver(nameservers)  # says what is no name server
        return patient(dns_server)

    command = "mailops.domains.management.commands.evaluate_spf"
    monkeypatch.setattr(f"{command}.the_resolver", ask)
    monkeypatch.setattr(dns_server, "zones", ZONES)
    monkeypatch.setattr(dns_server, "silent", {"silent.test"})
    monkeypatch.setattr(dns_server, "failing", {"bad.test"})
    monkeypatch.setattr(dns_server, "refusing", {"refusing.test"})
    dns_server.asked.clear()
    return dns_server


def said(server, domain, *more, ip="192.0.2.1"):
    out = StringIO()
    call_command(
        "evaluate_spf",
        *("--ip", ip, "--sender", f"x@{domain}", "--helo", "h.test"),
        *("--nameserver", server.address, "--json", *more),
        stdout=out,
    )
    return json.loads(out.getvalue())


class TestEvaluateSpf:
    """Needs no database: none is opened to it."""

    @pytest.mark.parametrize(
        ("domain", "result"),
        [
            ("plain.test", "pass"),
            ("cut.test", "pass"),
            ("parted.test", "none"),
            ("odd.test", "permerror"),
            ("long.test", "fail"),
            ("alias.test", "pass"),
            ("silent.test", "temperror"),
            ("bad.test", "temperror"),
            ("refusing.test", "temperror"),
            ("deep.test", "temperror"),
            ("gone.test", "none"),
        ],
    )
    def test_asks_a_name_server(self, server, domain, result):
        assert said(server, domain)["result"] == result

    def test_takes_long_answers_by_tcp(self, server):
        said(server, "long.test")
        assert [protocol for protocol, *_ in server.asked] == ["udp", "tcp"]

    def test_asks_for_names_with_a_space_in_them(self, server):
        said(server, "spaced.test")
        assert server.asked[-1] == ("udp", "a\\032b.x.test", "A")

    def test_never_asks_for_the_type_spf(self, server):
        said(server, "plain.test")
        assert {rdtype for *_, rdtype in server.asked} == {"TXT"}

    def test_says_why(self, server):
        one = said(server, "plain.test")
        assert one["mechanism"] == "ip4:192.0.2.0/24"
        assert one["domain"] == "plain.test"
        assert "192.0.2.1 matches" in one["reason"]

    def test_in_words_too(self, server):
        out = StringIO()
        call_command(
            "evaluate_spf",
            *("--ip", "::1", "--sender", "", "--helo", "plain.test"),
            *("--nameserver", server.address),
            stdout=out,
        )
        assert out.getvalue().startswith("fail: ::1 matches “-all” of plain.test.")

    @pytest.mark.parametrize(
        "more",
        [
            ["--ip", "1.2.3"],
            ["--ip", "fe80::1%lo"],
            ["--nameserver", "x:y"],
            ["--nameserver", "a..b:53"],
        ],
    )
    def test_nonsense_is_2(self, server, more):
        with pytest.raises(CommandError) as error:
            said(server, "plain.test", *more)
        assert error.value.returncode == 2
