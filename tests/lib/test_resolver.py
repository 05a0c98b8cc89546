import threading
from threading import Event

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from mailops.lib import nameserver
from mailops.lib.dns_answers import Answer, Status
from mailops.lib.dns_reading import failure_of
from mailops.lib.mailbox_providers import ASKERS, ProviderCache, provider_of, registrable_domain
from mailops.lib.resolver import Memo, Resolver, parse_nameserver, resolve
from tests.domains.zones import patient
from tests.lib.nameserver import FaultyNameserver

LONG = "v=DKIM1; k=rsa; p=" + "A" * 3000
ZONES = {
    "acme.example": {
        "TXT": ["v=spf1 -all", "hello"],
        "MX": ["20 b.acme.example", "5 a.acme.example"],
    },
    "long.example": {"TXT": [LONG]},
    "alias.example": {"CNAME": ["acme.example"]},
    "away.example": {"CNAME": ["alias.example"]},
    "round.example": {"CNAME": ["round.example"]},
    "pieces.example": {"TXT": [(b"v=spf1 ", b"-all")]},
    "odd.example": {"TXT": [(b"caf\xe9 \t\x07",)]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["z.example", "a.example"]},
    "a.b.example": {"A": ["127.0.0.1"]},
    "null.example": {"MX": ["0 ."]},
}


@pytest.fixture
def server():
    with FaultyNameserver(ZONES, silent={"silent.example"}, failing={"bad.example"}) as server:
        yield server


@pytest.fixture
def ask(server):
    return patient(server)


class TestResolver:
    def test_returns_every_record_sorted(self, ask):
        assert ask("acme.example", "TXT") == Answer(Status.FOUND, ("hello", "v=spf1 -all"))
        assert ask("Acme.Example.", "MX").values == ("20 b.acme.example", "5 a.acme.example")

    def test_asks_again_by_tcp_when_an_answer_is_truncated(self, ask, server):
        assert ask("long.example", "TXT").values == (LONG,)
        assert [protocol for protocol, *_ in server.asked] == ["udp", "tcp"]

    def test_follows_aliases(self, ask):
        assert ask("away.example", "TXT").values == ("hello", "v=spf1 -all")
        assert ask("away.example", "A").status is Status.NODATA
        assert not ask("round.example", "TXT").is_known

    def test_asks_for_the_target_where_a_server_leaves_that_to_us(self, ask, server, monkeypatch):
        monkeypatch.setattr("mailops.lib.nameserver.MAX_ALIASES", 0)
        assert ask("away.example", "TXT").values == ("hello", "v=spf1 -all")
        assert len(server.asked) == 3

    def test_joins_strings_and_counts_them(self, ask):
        answer = ask("pieces.example", "TXT")
        assert (answer.values, answer.pieces) == (("v=spf1 -all",), (2,))

    def test_what_is_no_text_can_not_pass_for_it(self, ask):
        assert ask("odd.example", "TXT").values == ("caf\N{REPLACEMENT CHARACTER} \t\u2407",)

    def test_names_of_an_address_keep_their_order(self, ask):
        assert ask("1.2.0.192.in-addr.arpa", "PTR").values == ("z.example", "a.example")

    def test_tells_refused_from_failed(self, ask, server):
        server.refusing = {"acme.example"}
        assert ask("acme.example", "TXT").status is Status.REFUSED

    def test_asks_without_edns_where_that_is_not_known(self, ask, server):
        server.knows_edns = False
        assert ask("acme.example", "TXT").is_found

    def test_tells_a_missing_name_from_a_missing_type(self, ask):
        assert ask("nowhere.example", "TXT").status is Status.NXDOMAIN
        assert ask("a.b.example", "TXT").status is Status.NODATA
        assert ask("b.example", "TXT").status is Status.NODATA

    def test_retries_a_silent_server_and_then_says_time_out(self, ask, server):
        answer = ask("silent.example", "TXT")
        assert answer.status is Status.TIMEOUT
        assert not answer.is_known
        assert len(server.asked) == 2
        assert "did not answer" in answer.detail

    def test_says_servfail_and_asks_no_more(self, ask, server):
        answer = ask("bad.example", "TXT")
        assert answer.status is Status.SERVFAIL
        assert "SERVFAIL" in answer.detail
        assert len(server.asked) == 1

    def test_goes_on_to_the_next_server(self, server):
        with FaultyNameserver({}) as dead:
            dead.is_failing = True
            ask = Resolver(((dead.host, dead.port), (server.host, server.port)))
            assert ask("acme.example", "TXT").is_found

    def test_a_port_nobody_listens_on_is_silence_and_not_absence(self, server):
        port = server.port
        server.__exit__(None, None, None)
        answer = Resolver((("127.0.0.1", port),))("acme.example", "TXT")
        assert answer.status is Status.TIMEOUT
        assert "can't be reached" in answer.detail
        server.__init__(ZONES)
        server.__enter__()

    @pytest.mark.parametrize("name", ["", "a" * 64 + ".example", "a..example", "\udcff.example"])
    def test_a_name_that_can_not_be_one_is_not_there(self, ask, name):
        assert not ask(name, "TXT").is_found

    def test_null_mx_keeps_its_dot(self, ask):
        assert ask("null.example", "MX").values == ("0 .",)

    def test_reads_the_name_servers_of_the_settings(self, server, settings):
        settings.MAILOPS_NAMESERVERS = [server.address]
        assert resolve("acme.example", "TXT").is_found

    def test_a_name_server_whose_own_name_is_not_found_is_silent(self, settings):
        settings.MAILOPS_NAMESERVERS = ["no.such.name.invalid:53"]
        answer = resolve("acme.example", "TXT")
        assert (answer.status, answer.detail) == (
            Status.TIMEOUT,
            "The name server no.such.name.invalid has no address.",
        )


class TestParseNameserver:
    @pytest.mark.parametrize(
        ("text", "parsed"),
        [
            ("9.9.9.9", ("9.9.9.9", 53)),
            ("127.0.0.1:5353", ("127.0.0.1", 5353)),
            ("[::1]:54", ("::1", 54)),
            ("2620:fe::fe", ("2620:fe::fe", 53)),
        ],
    )
    def test_reads_host_and_port(self, text, parsed):
        assert parse_nameserver(text) == parsed

    @pytest.mark.parametrize("text", ["", ":53", "a:b", "1.1.1.1:0", "1.1.1.1:70000"])
    def test_refuses_what_is_neither(self, text):
        with pytest.raises(ValueError):
            parse_nameserver(text)


class TestMemo:
    def test_asks_once_and_gives_up_on_silence(self, ask, server):
        memo = Memo(ask, patience=1)
        memo("silent.example", "TXT")
        assert memo("other.example", "TXT").detail.startswith("Not asked")
        assert len(server.asked) == 2

    def test_one_silent_name_does_not_silence_a_server_that_answers(self, ask, server):
        memo = Memo(ask, patience=1)
        memo("acme.example", "TXT")
        memo("ACME.example.", "TXT")
        assert len(server.asked) == 1
        memo("silent.example", "TXT")
        assert memo("other.example", "TXT").status is Status.NXDOMAIN

    def test_stops_when_its_time_is_over(self, ask, server):
        memo = Memo(ask, seconds=-1)
        assert "time for this check" in memo("acme.example", "TXT").detail
        assert server.asked == []


class TestProvider:
    @pytest.mark.parametrize(
        ("exchange", "provider"),
        [
            ("5 gmail-smtp-in.l.google.com", "gmail"),
            ("0 acme-com.mail.protection.outlook.com", "outlook"),
            ("1 mta5.am0.yahoodns.net", "yahoo"),
            ("10 mx.acme.co.uk", "acme.co.uk"),
            ("0 .", "acme.example"),
        ],
    )
    def test_is_named_by_the_mx(self, exchange, provider):
        assert provider_of("acme.example", Answer(Status.FOUND, (exchange,))) == provider

    def test_is_named_by_the_most_preferred_mx(self):
        answer = Answer(Status.FOUND, ("10 mx.other.example", "9 aspmx.l.google.com"))
        assert provider_of("acme.example", answer) == "gmail"

    def test_is_the_domain_itself_without_an_mx(self):
        assert provider_of("acme.example", Answer(Status.NXDOMAIN)) == "acme.example"

    def test_registrable_domain_knows_public_suffixes(self):
        assert registrable_domain("a.b.co.uk.") == "b.co.uk"


class TestProviderCache:
    def test_asks_once_for_each_domain(self):
        asked = []
        cache = ProviderCache(lambda name, rdtype: asked.append(name) or Answer(Status.NXDOMAIN))
        cache.providers([f"d{n % 7}.example" for n in range(100)] + ["D1.example"])
        cache.providers([f"d{n}.example" for n in range(7)])
        assert sorted(asked) == [f"d{n}.example" for n in range(7)]

    def test_a_dead_resolver_costs_few_time_outs(self):
        asked = []
        cache = ProviderCache(lambda name, rdtype: asked.append(name) or Answer(Status.TIMEOUT))
        assert [cache.provider(f"d{n}.example") for n in range(50)][-1] == "d49.example"
        assert len(asked) == 5

    def test_forgets_the_oldest_when_full(self):
        cache = ProviderCache(lambda name, rdtype: Answer(Status.NXDOMAIN), size=3)
        cache.providers([f"d{n}.example" for n in range(10)])
        assert len(cache._known) == 3

    def test_waits_no_longer_than_told_and_remembers_what_comes_later(self):
        may_answer = Event()

        def ask(name, rdtype):
            if name.startswith("slow"):
                may_answer.wait()
            return Answer(Status.FOUND, ("5 aspmx.l.google.com",))

        cache = ProviderCache(ask)
        domains = ["quick.example", *(f"slow{n}.example" for n in range(ASKERS + 9))]
        assert cache.providers(["quick.example"]) == {"quick.example": "gmail"}
        first = cache.providers(domains, within=0.01)
        assert first == {domain: domain for domain in domains} | {"quick.example": "gmail"}
        may_answer.set()
        assert set(cache.providers(domains).values()) == {"gmail"}

    def test_says_at_once_what_is_at_hand_and_asks_behind(self):
        may_answer, asked = Event(), []

        def ask(name, rdtype):
            asked.append(name)
            may_answer.wait()
            return Answer(Status.FOUND, ("5 aspmx.l.google.com",))

        cache = ProviderCache(ask)
        for _ in range(20):
            assert cache.provider_at_hand("Slow.example") == "slow.example"
        assert cache.provider_at_hand("gmail.com") == "gmail"  # before anybody was asked
        may_answer.set()
        for thread in threading.enumerate():
            if thread.name == "mailbox-providers":
                thread.join(10)
        assert cache.provider_at_hand("slow.example") == "gmail"
        assert set(asked) == {"slow.example", "gmail.com"}

    def test_goes_on_asking_behind_where_one_question_fails(self):
        def ask(name, rdtype):
            if name == "odd.example":
                raise ValueError(name)
            return Answer(Status.FOUND, ("5 aspmx.l.google.com",))

        cache = ProviderCache(ask)
        cache._wanted = {"odd.example": None}
        cache.provider_at_hand("x.example")
        for thread in threading.enumerate():
            if thread.name == "mailbox-providers":
                thread.join()
        assert cache.provider_at_hand("x.example") == "gmail"
        assert cache._behind == 0

    def test_an_answer_after_the_wait_needs_no_second_question(self):
        may_answer, answered, asked = Event(), Event(), []

        def ask(name, rdtype):
            asked.append(name)
            may_answer.wait()
            return Answer(Status.FOUND, ("5 aspmx.l.google.com",))

        cache = ProviderCache(ask)
        remember = cache._remember
        cache._remember = lambda *of: (remember(*of), answered.set())[0]
        assert cache.providers(["slow.example"], within=0) == {"slow.example": "slow.example"}
        may_answer.set()
        answered.wait()
        assert cache.providers(["slow.example"], within=0) == {"slow.example": "gmail"}
        assert asked == ["slow.example"]


def test_the_name_server_takes_another_port_where_one_is_free_for_udp_only(monkeypatch):
    real, taken = nameserver._server, []

    def busy_once(resolver, host, port, kind):
        if kind is nameserver.TCPServer and not taken:
            taken.append(port)
            raise OSError("in use")
        return real(resolver, host, port, kind)

    monkeypatch.setattr(nameserver, "_server", busy_once)
    with nameserver.Nameserver({}) as server:
        assert server.port not in taken


class TestFailureOf:
    """What answers nothing, although it says NOERROR."""

    def response(self, *, answer=(), authority=(), flags=0, rcode="NOERROR"):
        query = dns.message.make_query("a.example", "TXT")
        made = dns.message.make_response(query)
        made.set_rcode(dns.rcode.from_text(rcode))
        made.flags |= flags
        made.answer = [dns.rrset.from_text(*of) for of in answer]
        made.authority = [dns.rrset.from_text(*of) for of in authority]
        return made

    SOA = ("example.", 60, "IN", "SOA", "ns.example. h.example. 1 2 3 4 5")
    NS = ("example.", 60, "IN", "NS", "ns.example.")

    @pytest.mark.parametrize(
        ("parts", "words"),
        [
            ({"flags": dns.flags.TC}, "cut its answer short"),
            ({"answer": [("b.example.", 60, "IN", "TXT", "x")]}, "about another name"),
            ({"authority": [NS]}, "names other servers"),
            ({"rcode": "NOTAUTH"}, "NOTAUTH"),
        ],
    )
    def test_says_why(self, parts, words):
        failure = failure_of(self.response(**parts), "server")
        assert words in failure.detail
        assert not failure.is_known

    @pytest.mark.parametrize(
        "parts",
        [
            {},
            {"authority": [SOA]},
            {"authority": [NS], "flags": dns.flags.AA},
            {"authority": [NS], "rcode": "NXDOMAIN"},
            {"answer": [("a.example.", 60, "IN", "CNAME", "b.example.")], "authority": [NS]},
        ],
    )
    def test_is_none_where_something_is_told(self, parts):
        assert failure_of(self.response(**parts), "server") is None
