"""SPF on zones of our own, a case or more for each clause of RFC 7208."""

from ipaddress import ip_address

import pytest

from mailops.lib.dns_answers import Answer, Status
from mailops.protocol.spf import evaluate
from mailops.protocol.spf_envelope import Envelope
from mailops.protocol.spf_record import included_domain

CLIENT = "192.0.2.10"
CLIENT6 = "2001:db8::cb01"
PASS, FAIL, SOFTFAIL, NEUTRAL = "pass", "fail", "softfail", "neutral"
NONE, TEMPERROR, PERMERROR = "none", "temperror", "permerror"
SILENT, BAD = Status.TIMEOUT, Status.SERVFAIL
LONG = "x" * 60


class Zones:
    """Answers from a dict: name → type → values, or how DNS fails there; counts the questions."""

    def __init__(self, zones):
        self.zones = {name.lower(): records for name, records in zones.items()}
        self.asked = []

    def __call__(self, name, rdtype):
        self.asked.append((rdtype, name))
        there = self.zones.get(name.lower())
        if isinstance(there, Status):
            return Answer(there, detail=there.value)
        if there is None:
            below = any(other.endswith("." + name.lower()) for other in self.zones)
            return Answer(Status.NODATA if below else Status.NXDOMAIN)
        values = there.get(rdtype)
        if isinstance(values, Status):
            return Answer(values, detail=values.value)
        return Answer(Status.FOUND, tuple(values)) if values else Answer(Status.NODATA)


# hosts and records that the cases below name
WORLD = {
    "a.test": {"A": [CLIENT], "AAAA": [CLIENT6]},
    "b.test": {"A": ["192.0.2.99", "198.51.100.1"], "AAAA": ["2001:db8::99"]},
    "void.test": {"TXT": ["nothing of use"]},
    "silent.test": SILENT,
    "broken.test": BAD,
    "yes.test": {"TXT": [f"v=spf1 ip4:{CLIENT} -all"]},
    "no.test": {"TXT": ["v=spf1 -all"]},
    "soft.test": {"TXT": ["v=spf1 ~all"]},
    "shrug.test": {"TXT": ["v=spf1 ?all"]},
    "syntax.test": {"TXT": ["v=spf1 nonsense -all"]},
    "twice.test": {"TXT": ["v=spf1 -all", "v=spf1 +all"]},
    "mx.test": {"MX": ["10 b.test", "20 a.test"]},
    "mxvoid.test": {"MX": ["10 gone1.test"]},
    "mxnull.test": {"MX": ["0 ."]},
    "mxsilent.test": {"MX": ["10 silent.test"]},
    "mx10.test": {"MX": [f"10 h{n}.test" for n in range(9)] + ["10 a.test"]},
    "mx11.test": {"MX": [f"10 h{n}.test" for n in range(10)] + ["10 a.test"]},
    **{f"h{n}.test": {"A": ["198.51.100.9"]} for n in range(10)},
    "why.test": {"TXT": ["%{i} may not send for %{o}: see %{C} %{r} %{t} %{H}%_100%%%-"]},
    "why2.test": {"TXT": ["one", "two"]},
    "whybad.test": {"TXT": ["100% wrong"]},
    "whyodd.test": {"TXT": ["caf\u00e9"]},
    "10.2.0.192.in-addr.arpa": {"PTR": ["other.example", "mail.sender.test", "liar.test"]},
    "other.example": {"A": [CLIENT]},
    "mail.sender.test": {"A": [CLIENT]},
    "liar.test": {"A": ["203.0.113.1"]},
    "11.2.0.192.in-addr.arpa": {"PTR": [f"n{n}.many.test" for n in range(1, 12)]},
    **{f"n{n}.many.test": {"A": ["203.0.113.1"]} for n in range(1, 11)},
    "n11.many.test": {"A": ["192.0.2.11"]},
    "12.2.0.192.in-addr.arpa": SILENT,
    "13.2.0.192.in-addr.arpa": {"PTR": ["silent.test", "ok13.test"]},
    "ok13.test": {"A": ["192.0.2.13"]},
    "1.0.b.c." + "0." * 20 + "8.b.d.0.1.0.0.2.ip6.arpa": {"PTR": ["six.test"]},
    "six.test": {"AAAA": ["2001:DB8:0::cb01"]},
}


def spf(record, *, ip=CLIENT, sender="strong-bad@sender.test", helo="helo.test", **zones):
    records = [record] if isinstance(record, str) else record
    world = WORLD | {"sender.test": {"TXT": records}}
    world |= {name.replace("__", "."): value for name, value in zones.items()}
    asks = Zones(world)
    said = evaluate(Envelope(ip_address(ip), sender, helo, "mx.here.test", 1234567890), asks)
    return said, asks


CASES = [
    # 3.1, 3.2, 4.5: which records count
    ("v=spf1", NEUTRAL),
    ("V=SPF1 -ALL", FAIL),
    ("v=spf10 -all", NONE),
    (" v=spf1 -all", NONE),
    ("v=spf1\t-all", NONE),
    ("v=spf2.0/pra -all", NONE),
    ("spf1 -all", NONE),
    ([], NONE),
    (["v=spf1 -all", "v=spf10 +all", "hello"], FAIL),
    (["v=spf1 -all", "v=spf1 +all"], PERMERROR),
    (["v=spf1 -all", "v=spf1 -all "], PERMERROR),
    ("v=spf1   -all  ", FAIL),
    ("v=spf1 caf\u00e9.test -all", PERMERROR),
    ("v=spf1 x=\u00e9 -all", PERMERROR),
    ("v=spf1 \u2409 -all", PERMERROR),
    # 4.6.1: any syntax error spoils the whole record, behind a match and behind `all` too
    ("v=spf1 +all nonsense", PERMERROR),
    (f"v=spf1 ip4:{CLIENT} ip4:1.2.3", PERMERROR),
    ("v=spf1 -all a:nolabel", PERMERROR),
    ("v=spf1 -all redirect=", PERMERROR),
    ("v=spf1 - all", PERMERROR),
    ("v=spf1 --all", PERMERROR),
    ("v=spf1 all.", PERMERROR),
    ("v=spf1 !all", PERMERROR),
    # 4.6.2: qualifiers
    ("v=spf1 +all", PASS),
    ("v=spf1 all", PASS),
    ("v=spf1 ?all", NEUTRAL),
    ("v=spf1 ~all", SOFTFAIL),
    ("v=spf1 -all", FAIL),
    # 4.7: nothing matches
    ("v=spf1 ip4:198.51.100.1", NEUTRAL),
    # 5.1: all
    ("v=spf1 ~all ip4:192.0.2.10 -all", SOFTFAIL),
    ("v=spf1 -all a:silent.test", FAIL),
    ("v=spf1 all:a.test", PERMERROR),
    ("v=spf1 all/8", PERMERROR),
    ("v=spf1 redirect=yes.test -all", FAIL),
    ("v=spf1 redirect=silent.test ?all", NEUTRAL),
    # 5.2: include
    ("v=spf1 include:yes.test -all", PASS),
    ("v=spf1 ~include:yes.test -all", SOFTFAIL),
    ("v=spf1 include:no.test ~all", SOFTFAIL),
    ("v=spf1 include:soft.test -all", FAIL),
    ("v=spf1 include:shrug.test -all", FAIL),
    ("v=spf1 include:syntax.test -all", PERMERROR),
    ("v=spf1 include:twice.test -all", PERMERROR),
    ("v=spf1 include:void.test -all", PERMERROR),
    ("v=spf1 include:gone.test -all", PERMERROR),
    ("v=spf1 include:silent.test -all", TEMPERROR),
    ("v=spf1 include:broken.test -all", TEMPERROR),
    ("v=spf1 include -all", PERMERROR),
    ("v=spf1 include: -all", PERMERROR),
    ("v=spf1 include:yes.test/24 -all", PERMERROR),
    ("v=spf1 include:sender.test -all", PERMERROR),
    ("v=spf1 INCLUDE:YES.TEST. -all", PASS),
    # 5.3: a
    ("v=spf1 a:a.test -all", PASS),
    ("v=spf1 a:a.test. -all", PASS),
    ("v=spf1 a:b.test -all", FAIL),
    ("v=spf1 a:b.test/24 -all", PASS),
    ("v=spf1 a:b.test/0 -all", PASS),
    ("v=spf1 a:b.test//64 -all", FAIL),
    ("v=spf1 a:b.test/24//64 -all", PASS),
    ("v=spf1 a/24 -all", FAIL),
    ("v=spf1 a:a.test/33 -all", PERMERROR),
    ("v=spf1 a:a.test/024 -all", PERMERROR),
    ("v=spf1 a:a.test/ -all", PERMERROR),
    ("v=spf1 a:a.test// -all", PERMERROR),
    ("v=spf1 a:a.test//129 -all", PERMERROR),
    ("v=spf1 a:a.test//0129 -all", PERMERROR),
    ("v=spf1 a:a.test/24/64 -all", PERMERROR),
    ("v=spf1 a:a.test/-1 -all", PERMERROR),
    ("v=spf1 a: -all", PERMERROR),
    ("v=spf1 a:/24 -all", PERMERROR),
    ("v=spf1 a=a.test -all", FAIL),
    ("v=spf1 a:silent.test -all", TEMPERROR),
    ("v=spf1 a:broken.test -all", TEMPERROR),
    ("v=spf1 a:a.test:8080 -all", PERMERROR),
    ("v=spf1 a:192.0.2.10 -all", PERMERROR),
    ("v=spf1 a:a.t-est1 -all", FAIL),
    ("v=spf1 a:a.1-2 -all", FAIL),
    ("v=spf1 a:a.-x -all", PERMERROR),
    ("v=spf1 a:a.x- -all", PERMERROR),
    ("v=spf1 a:a.te_st -all", PERMERROR),
    ("v=spf1 a:_x.gone.test -all", FAIL),
    ("v=spf1 a:a..test -all", FAIL),
    (f"v=spf1 a:{LONG}{LONG}.test -all", FAIL),
    # 5.4: mx
    ("v=spf1 mx:mx.test -all", PASS),
    ("v=spf1 mx:mx.test/24 -all", PASS),
    ("v=spf1 mx:a.test -all", FAIL),
    ("v=spf1 mx -all", FAIL),
    ("v=spf1 mx:mxvoid.test -all", FAIL),
    ("v=spf1 mx:mxnull.test -all", FAIL),
    ("v=spf1 mx:mxsilent.test -all", TEMPERROR),
    ("v=spf1 mx:silent.test -all", TEMPERROR),
    ("v=spf1 mx:mx10.test -all", PASS),
    ("v=spf1 mx:mx11.test -all", PERMERROR),
    ("v=spf1 mx:mx.test/33 -all", PERMERROR),
    # 5.5: ptr
    ("v=spf1 ptr -all", PASS),
    ("v=spf1 ptr:sender.test -all", PASS),
    ("v=spf1 ptr:SENDER.test. -all", PASS),
    ("v=spf1 ptr:other.example -all", PASS),
    ("v=spf1 ptr:ther.example -all", FAIL),
    ("v=spf1 ptr:liar.test -all", FAIL),
    ("v=spf1 ptr: -all", PERMERROR),
    ("v=spf1 ptr/24 -all", PERMERROR),
    # 5.6: ip4 and ip6
    ("v=spf1 ip4:192.0.2.10 -all", PASS),
    ("v=spf1 ip4:192.0.2.0/28 -all", PASS),
    ("v=spf1 ip4:192.0.2.99/24 -all", PASS),
    ("v=spf1 ip4:192.0.2.11 -all", FAIL),
    ("v=spf1 ip4:1.2.3.4/0 -all", PASS),
    ("v=spf1 ip6:::/0 -all", FAIL),
    ("v=spf1 ip6:::ffff:192.0.2.10 -all", FAIL),
    ("v=spf1 ip4 -all", PERMERROR),
    ("v=spf1 ip4: -all", PERMERROR),
    ("v=spf1 ip4:192.0.2.256 -all", PERMERROR),
    ("v=spf1 ip4:192.0.2.010 -all", PERMERROR),
    ("v=spf1 ip4:192.0.2.10/33 -all", PERMERROR),
    ("v=spf1 ip4:192.0.2.10/08 -all", PERMERROR),
    ("v=spf1 ip4:192.0.2.10//32 -all", PERMERROR),
    ("v=spf1 ip4:192.0.2.10:25 -all", PERMERROR),
    ("v=spf1 ip4:a.test -all", PERMERROR),
    ("v=spf1 ip6:2001:db8::1%eth0 -all", PERMERROR),
    ("v=spf1 ip6:2001:db8:::1 -all", PERMERROR),
    ("v=spf1 ip6:2001:db8::1/129 -all", PERMERROR),
    ("v=spf1 ip6:192.0.2.10 -all", PERMERROR),
    ("v=spf1 ip4:2001:db8::1 -all", PERMERROR),
    # 5.7: exists
    ("v=spf1 exists:a.test -all", PASS),
    ("v=spf1 exists:void.test -all", FAIL),
    ("v=spf1 exists:gone.test -all", FAIL),
    ("v=spf1 exists:silent.test -all", TEMPERROR),
    ("v=spf1 exists -all", PERMERROR),
    ("v=spf1 exists:a.test/24 -all", PERMERROR),
    # 6: modifiers
    ("v=spf1 moo=cow a.b-c_d=%{d} -all", FAIL),
    ("v=spf1 moo=%{t} -all", FAIL),
    ("v=spf1 moo= -all", FAIL),
    ("v=spf1 moo=%x -all", PERMERROR),
    ("v=spf1 1moo=x -all", PERMERROR),
    ("v=spf1 -moo=x -all", PERMERROR),
    ("v=spf1 =x -all", PERMERROR),
    ("v=spf1 default=pass ip4:198.51.100.1", NEUTRAL),
    # 6.1: redirect
    ("v=spf1 redirect=yes.test", PASS),
    ("v=spf1 REDIRECT=soft.test", SOFTFAIL),
    ("v=spf1 redirect=yes.test ip4:198.51.100.1", PASS),
    ("v=spf1 redirect=shrug.test", NEUTRAL),
    ("v=spf1 redirect=void.test", PERMERROR),
    ("v=spf1 redirect=gone.test", PERMERROR),
    ("v=spf1 redirect=a..test", PERMERROR),
    ("v=spf1 redirect=syntax.test", PERMERROR),
    ("v=spf1 redirect=silent.test", TEMPERROR),
    ("v=spf1 redirect=yes.test redirect=yes.test", PERMERROR),
    ("v=spf1 redirect=yes.test/24", PERMERROR),
    ("v=spf1 redirect:yes.test", PERMERROR),
    ("v=spf1 redirect=sender.test", PERMERROR),
    # 6.2: exp
    ("v=spf1 exp=why.test exp=why.test -all", PERMERROR),
    ("v=spf1 exp= -all", PERMERROR),
    ("v=spf1 exp=nolabel -all", PERMERROR),
    ("v=spf1 exp=%{t}.test -all", PERMERROR),
    # 7.1, 7.2: macros
    ("v=spf1 exists:%(d).test -all", PERMERROR),
    ("v=spf1 exists:%d.test -all", PERMERROR),
    ("v=spf1 exists:a%.test -all", PERMERROR),
    ("v=spf1 exists:%{}.test -all", PERMERROR),
    ("v=spf1 exists:%{x}.test -all", PERMERROR),
    ("v=spf1 exists:%{c}.test -all", PERMERROR),
    ("v=spf1 exists:%{R}.test -all", PERMERROR),
    ("v=spf1 exists:%{t}.test -all", PERMERROR),
    ("v=spf1 exists:%{d0}.test -all", PERMERROR),
    ("v=spf1 exists:%{d00r}.test -all", PERMERROR),
    ("v=spf1 exists:%{dr2}.test -all", PERMERROR),
    ("v=spf1 exists:%{d;}.test -all", PERMERROR),
    ("v=spf1 exists:%{d}x -all", PERMERROR),
    ("v=spf1 a:%{d}/24 -all", FAIL),
    ("v=spf1 a:a.test%% -all", FAIL),
]


class TestRecord:
    @pytest.mark.parametrize(("record", "result"), CASES)
    def test_gives_the_result_of_its_clause(self, record, result):
        said, _ = spf(record)
        assert said.result == result, said

    def test_says_why_and_by_which_term(self):
        said, _ = spf("v=spf1 include:yes.test -all")
        assert (said.domain, said.mechanism) == ("sender.test", "include:yes.test")
        assert said.reason == "192.0.2.10 matches “include:yes.test” of sender.test."
        assert said.lookups == 1
        assert said.questions[0].startswith("TXT sender.test: v=spf1")


class TestIncludedDomain:
    @pytest.mark.parametrize(
        ("text", "domain"),
        [
            ("amazonses.com", "amazonses.com"),
            (" Include:_SPF.Google.com. ", "_spf.google.com"),
            ("%{ir}.%{v}.%{d}.spf.has.example.com", "%{ir}.%{v}.%{d}.spf.has.example.com"),
            ("spf.bücher.example", "spf.xn--bcher-kva.example"),
        ],
    )
    def test_is_a_name_of_dns(self, text, domain):
        assert included_domain(text) == domain

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "com",
            "a..example",
            "not a domain",
            "spf.example.com ~all",
            "https://spf.example.com",
            "spf.example.com/24",
            "%{x}.example.com",
            f"{'a' * 64}.example.com",
            f"{'a.' * 130}com",
            "_spf.bücher.example/",
        ],
    )
    def test_is_nothing_else(self, text):
        with pytest.raises(ValueError, match=r"."):
            included_domain(text)


class TestIdentity:
    """Sections 2.4 and 4.3."""

    @pytest.mark.parametrize(
        ("sender", "helo", "result"),
        [
            ("", "sender.test", FAIL),
            ("<>", "sender.test", FAIL),
            ("<strong-bad@sender.test>", "", FAIL),
            ("@sender.test", "", FAIL),
            ("sender.test", "", FAIL),
            ("x@SENDER.test.", "", FAIL),
            ('"a@b"@sender.test', "", FAIL),
            ("", "localhost", NONE),
            ("", "[192.0.2.10]", NONE),
            ("", "", NONE),
            ("x@localhost", "", NONE),
            ("x@[192.0.2.10]", "", NONE),
            ("x@sender..test", "", NONE),
            (f"x@{LONG}{LONG}.test", "", NONE),
            ("x@" + "a." * 140 + "test", "", NONE),
            ("x@gone.test", "", NONE),
            ("x@void.test", "", NONE),
            ("x@silent.test", "", TEMPERROR),
            ("x@broken.test", "", TEMPERROR),
            ("x@b\u00fccher.test", "", PASS),
        ],
    )
    def test_is_the_domain_of_mail_from_or_else_of_helo(self, sender, helo, result):
        idn = {"xn--bcher-kva.test": {"TXT": ["v=spf1 +all"]}}
        said, _ = spf("v=spf1 -all", sender=sender, helo=helo, **idn)
        assert said.result == result, said

    def test_malformed_domains_cost_no_question(self):
        _, asks = spf("v=spf1 -all", sender="x@sender..test")
        assert asks.asked == []

    def test_an_empty_local_part_is_postmaster(self):
        said, _ = spf("v=spf1 exists:%{l}.%{o}.x.test -all", sender="", helo="sender.test")
        assert said.result == FAIL
        said, _ = spf(
            "v=spf1 exists:%{l}.%{o}.x.test -all",
            sender="@sender.test",
            **{"postmaster.sender.test.x.test": {"A": ["127.0.0.2"]}},
        )
        assert said.result == PASS


class TestAddresses:
    """Section 5: which addresses are asked for, and what they are compared with."""

    @pytest.mark.parametrize(
        ("record", "ip", "result"),
        [
            ("v=spf1 a:a.test -all", CLIENT6, PASS),
            ("v=spf1 a:b.test/24//64 -all", CLIENT6, PASS),
            ("v=spf1 a:b.test/24 -all", CLIENT6, FAIL),
            ("v=spf1 mx:mx.test -all", CLIENT6, PASS),
            ("v=spf1 ip6:2001:DB8::/32 -all", CLIENT6, PASS),
            ("v=spf1 ip6:2001:db8::cb01 -all", CLIENT6, PASS),
            ("v=spf1 ip6:2001:db8:0:0:0:0:0:cb01 -all", CLIENT6, PASS),
            ("v=spf1 ip4:0.0.0.0/0 -all", CLIENT6, FAIL),
            ("v=spf1 ptr:six.test -all", CLIENT6, PASS),
            ("v=spf1 exists:a.test -all", CLIENT6, PASS),
            ("v=spf1 ip4:192.0.2.10 -all", "::ffff:192.0.2.10", PASS),
            ("v=spf1 ip6:::ffff:0:0/96 -all", "::ffff:192.0.2.10", FAIL),
            ("v=spf1 a:a.test -all", "::ffff:192.0.2.10", PASS),
        ],
    )
    def test_go_by_the_kind_of_the_clients(self, record, ip, result):
        assert spf(record, ip=ip)[0].result == result

    def test_exists_asks_for_a_even_of_an_ipv6_client(self):
        _, asks = spf("v=spf1 exists:a.test -all", ip=CLIENT6)
        assert asks.asked[-1] == ("A", "a.test")

    @pytest.mark.parametrize(
        ("ip", "result"),
        [
            ("192.0.2.11", FAIL),  # the eleventh name would match; ten are looked at
            ("192.0.2.12", FAIL),  # no time-out of PTR spoils the result
            ("192.0.2.13", FAIL),
            ("192.0.2.14", FAIL),
        ],
    )
    def test_ptr_forgives_what_the_clients_dns_does(self, ip, result):
        assert spf("v=spf1 ptr:many.test -all", ip=ip)[0].result == result

    def test_ptr_skips_names_that_can_not_be_asked(self):
        assert spf("v=spf1 ptr:ok13.test -all", ip="192.0.2.13")[0].result == PASS


class TestLimits:
    """Section 4.6.4."""

    def test_ten_lookups_are_allowed_and_eleven_are_not(self):
        ten = " ".join(["v=spf1", *["a:b.test"] * 10, "-all"])
        assert spf(ten)[0].result == FAIL
        said, _ = spf(ten.replace(" -all", " a:b.test -all"))
        assert said.result == PERMERROR
        assert "lookup 11" in said.reason

    def test_what_is_not_reached_does_not_count(self):
        assert spf(f"v=spf1 ip4:{CLIENT} {'a:b.test ' * 20}-all")[0].result == PASS

    def test_lookups_of_included_records_count(self):
        inner = {"TXT": [f"v=spf1 {'a:b.test ' * 9}-all"]}
        assert spf("v=spf1 include:in.test -all", in__test=inner)[0].result == FAIL
        assert spf("v=spf1 a:b.test include:in.test -all", in__test=inner)[0].result == PERMERROR

    @pytest.mark.parametrize("name", ["gone", "void"])
    def test_two_voids_are_allowed_and_three_are_not(self, name):
        zones = {f"void{n}.test": {"TXT": ["x"]} for n in range(3)} if name == "void" else {}
        two = f"v=spf1 a:{name}0.test exists:{name}1.test -all"
        assert spf(two, **zones)[0].result == FAIL
        said, _ = spf(two.replace(" -all", f" mx:{name}2.test -all"), **zones)
        assert said.result == PERMERROR
        assert said.voids == 3

    def test_the_clients_own_names_are_no_voids(self):
        names = {"PTR": ["g1.test", "g2.test", "g3.test"]}
        zones = {"14.2.0.192.in-addr.arpa": names}
        said, _ = spf("v=spf1 ptr -all", ip="192.0.2.14", **zones)
        assert (said.result, said.voids) == (FAIL, 0)

    def test_loops_end(self):
        one, two = {"TXT": ["v=spf1 include:two.test"]}, {"TXT": ["v=spf1 include:one.test"]}
        said, _ = spf("v=spf1 include:one.test -all", one__test=one, two__test=two)
        assert said.result == PERMERROR


class TestMacros:
    """Section 7; the first ones are its own examples."""

    @pytest.mark.parametrize(
        ("spec", "name"),
        [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "10.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            (
                "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
                "bad.strong.lp.10.2.0.192.in-addr._spf.example.com",
            ),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "10.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{h}.x.test", "helo.test.x.test"),
            ("%{H2R}.x.test", "test.helo.x.test"),
            ("%{d128}", "email.example.com"),
            ("%{d99999999999}", "email.example.com"),
            ("%{S}.x.test", "strong-bad%40email.example.com.x.test"),
            ("a%%b%_c%-d.test", "a%b c%20d.test"),
            ("%{l+-}.x.test", "strong.bad.x.test"),
            ("%{i}.x.test.", "192.0.2.10.x.test"),
            ("%{p}", "mx.example.org"),
            ("%{p2}.x.test", "example.org.x.test"),
        ],
    )
    def test_expand(self, spec, name):
        asks = Zones(
            {
                "email.example.com": {"TXT": [f"v=spf1 exists:{spec} -all"]},
                "10.2.0.192.in-addr.arpa": {"PTR": ["mx.example.org"]},
                "mx.example.org": {"A": [CLIENT]},
            }
        )
        sender = "strong-bad@email.example.com"
        evaluate(Envelope(ip_address(CLIENT), sender, "helo.test"), asks)
        assert ("A", name) in asks.asked

    def test_an_ipv6_address_is_dotted_nibbles(self):
        _, asks = spf("v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all", ip=CLIENT6)
        nibbles = "1.0.b.c." + "0." * 20 + "8.b.d.0.1.0.0.2"
        assert asks.asked[-1] == ("A", f"{nibbles}.ip6._spf.sender.test")

    @pytest.mark.parametrize(
        ("ip", "name"),
        [
            ("192.0.2.10", "mail.sender.test"),  # below the domain, before any other
            ("192.0.2.13", "ok13.test"),
            ("192.0.2.12", "unknown"),
            ("192.0.2.14", "unknown"),
        ],
    )
    def test_p_is_a_validated_name_or_unknown(self, ip, name):
        _, asks = spf("v=spf1 exists:%{p}.x.test -all", ip=ip)
        assert asks.asked[-1] == ("A", f"{name}.x.test")

    def test_p_is_asked_for_only_where_it_is_used(self):
        _, asks = spf("v=spf1 exists:%{d} -all")
        assert not [rdtype for rdtype, _ in asks.asked if rdtype == "PTR"]

    def test_a_name_that_is_too_long_loses_labels_on_the_left(self):
        _, asks = spf("v=spf1 exists:%{h}.%{h}.%{d} -all", helo=".".join(["y" * 50] * 3))
        name = asks.asked[-1][1]
        assert len(name) <= 253
        assert name == ".".join(["y" * 50] * 4) + ".sender.test"

    def test_o_stays_the_senders_domain_and_d_follows_the_record(self):
        inner = {"TXT": ["v=spf1 exists:%{o}.%{d}.x.test -all"]}
        _, asks = spf("v=spf1 include:in.test -all", in__test=inner)
        assert asks.asked[-1] == ("A", "sender.test.in.test.x.test")

    def test_a_local_part_outside_ascii_matches_nothing_and_is_not_asked(self):
        said, asks = spf("v=spf1 exists:%{l}.x.test -all", sender="caf\u00e9@sender.test")
        assert said.result == FAIL
        assert len(asks.asked) == 1

    def test_a_backslash_is_one_letter_of_the_name(self):
        _, asks = spf("v=spf1 exists:%{l}.x.test -all", sender="a\\b@sender.test")
        assert asks.asked[-1] == ("A", "a\\\\b.x.test")


class TestExplanation:
    """Section 6.2."""

    @pytest.mark.parametrize(
        ("record", "text"),
        [
            (
                "v=spf1 exp=why.test -all",
                "192.0.2.10 may not send for sender.test: see 192.0.2.10 mx.here.test 1234567890 helo.test 100%%20",
            ),
            ("v=spf1 -all", ""),
            ("v=spf1 exp=why.test ~all", ""),
            ("v=spf1 exp=why2.test -all", ""),
            ("v=spf1 exp=whybad.test -all", ""),
            ("v=spf1 exp=whyodd.test -all", ""),
            ("v=spf1 exp=gone.test -all", ""),
            ("v=spf1 exp=silent.test -all", ""),
            ("v=spf1 exp=a..test -all", ""),
            ("v=spf1 exp=why.test redirect=no.test", ""),
            ("v=spf1 exp=why.test include:noexp.test -all", True),
            ("v=spf1 include:withexp.test -all", ""),
            ("v=spf1 redirect=withexp.test", True),
        ],
    )
    def test_is_that_of_the_record_that_refuses(self, record, text):
        said, _ = spf(
            record,
            noexp__test={"TXT": ["v=spf1 ip4:198.51.100.1 -all"]},
            withexp__test={"TXT": ["v=spf1 exp=why.test -all"]},
        )
        assert bool(said.explanation) if text is True else said.explanation == text

    def test_costs_none_of_the_ten_lookups(self):
        record = " ".join(["v=spf1 exp=%{p}.x.test", *["a:b.test"] * 10, "-all"])
        zones = {"mail.sender.test.x.test": {"TXT": ["no"]}}
        assert spf(record, **zones)[0].explanation == "no"
