"""Whole zones on a loopback name server: each finding appears where it should, and nowhere else."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from mailops.lib.resolver import Resolver
from tests.domains.zones import KEY, KEY_RECORD, patient

pytestmark = pytest.mark.django_db

ADDRESS = "198.51.100.25"
POINTER = "25.100.51.198.in-addr.arpa"
SPF = f"v=spf1 ip4:{ADDRESS} include:_spf.relay.test -all"
DMARC = "v=DMARC1; p=reject; rua=mailto:dmarc@a.test"
# what every zone of a case shares
AROUND = {
    "_spf.relay.test": {"TXT": ["v=spf1 ip4:203.0.113.0/24 ~all"]},
    "mx.relay.test": {"A": ["203.0.113.1"]},
    POINTER: {"PTR": ["out.a.test"]},
    "out.a.test": {"A": [ADDRESS]},
}
GOOD = {
    "a.test": {"TXT": ["a note", SPF], "MX": ["10 mx.relay.test"], "A": [ADDRESS]},
    "s1._domainkey.a.test": {"TXT": [KEY_RECORD]},
    "_dmarc.a.test": {"TXT": [DMARC]},
}
ALL_WELL = {
    *("alignment", "spf", "dkim:s1", "dmarc", "mx", f"ptr:{ADDRESS}", "dnsbl", "bimi"),
    *("mta_sts", "tls_rpt", "dnssec", "bulk_senders"),
}


def spf(record, **more):
    """Return the zone with another SPF record, and names that it speaks of."""
    records = [record] if isinstance(record, str) else record
    named = {name.replace("_", "."): {"TXT": [text]} for name, text in more.items()}
    return {"a.test": GOOD["a.test"] | {"TXT": records}, **named}


def dkim(*records):
    return {"s1._domainkey.a.test": {"TXT": list(records)}}


def dmarc(*records, **above):
    return {"_dmarc.a.test": {"TXT": list(records)}, **above}


def txt(name, *records):
    return {name: {"TXT": list(records)}}


def includes(count):
    names = {f"n{n}_test": "v=spf1 ip4:192.0.2.1 -all" for n in range(count)}
    return spf(" ".join(["v=spf1", *(f"include:n{n}.test" for n in range(count)), "-all"]), **names)


# what is changed in the good zone, and every check that is not ok then, with words of its sentence
BULK = {"bulk_senders": "error"}
CASES = {
    "as it should be": ({}, {}),
    # SPF
    "no spf": (spf("nothing"), {"spf": ("error", "has no SPF record")} | BULK),
    "two spf": (spf([SPF, "v=spf1 -all"]), {"spf": ("error", "2 SPF records")} | BULK),
    "spf lets all in": (spf("v=spf1 +all"), {"spf": ("error", "lets everybody")} | BULK),
    "an include lets all in": (
        spf("v=spf1 include:b.test -all", b_test="v=spf1 +all"),
        {"spf": ("error", "b.test, which the record includes, ends with “+all”")} | BULK,
    ),
    "spf says nothing": (
        spf("v=spf1 ip4:203.0.113.1/31 ?all"),
        {"spf": ("warning", "says nothing")},
    ),
    "spf has no end": (spf("v=spf1 ip4:203.0.113.0/31"), {"spf": ("warning", "no closing")}),
    "spf syntax": (spf("v=spf1 ipv4:192.0.2.1 -all"), {"spf": ("error", "permerror")} | BULK),
    "spf behind all": (spf("v=spf1 -all a:nolabel"), {"spf": ("error", "permerror")} | BULK),
    "spf misspelled": (spf("v=spf1; -all"), {"spf": ("error", "is not read as an SPF")} | BULK),
    "ptr": (spf("v=spf1 ptr -all"), {"spf": ("warning", "must not be used")}),
    "nine lookups": (includes(9), {"spf": ("warning", "9 of 10 DNS lookups")}),
    "ten lookups": (includes(10), {"spf": ("warning", "10 of 10 DNS lookups")}),
    "eleven lookups": (includes(11), {"spf": ("error", "11 DNS lookups")} | BULK),
    "lookups add up over includes": (
        spf(
            "v=spf1 include:b.test include:b.test -all",
            b_test="v=spf1 a:out.a.test mx:a.test a:out.a.test a:out.a.test a:out.a.test -all",
        ),
        {"spf": ("error", "12 DNS lookups")} | BULK,
    ),
    "two voids": (spf("v=spf1 a:g1.test a:g2.test -all"), {}),
    "three voids": (
        spf("v=spf1 a:g1.test mx:g2.test exists:g3.test -all"),
        {"spf": ("error", "3 of its lookups find nothing")} | BULK,
    ),
    "dead include": (
        spf("v=spf1 include:gone.test -all"),
        {"spf": ("error", "which include:gone.test names, has no SPF record")} | BULK,
    ),
    "circle": (
        spf("v=spf1 include:b.test -all", b_test="v=spf1 include:a.test -all"),
        {"spf": ("error", "in a circle")} | BULK,
    ),
    "silent include": (
        spf("v=spf1 include:silent.test -all"),
        {"spf": ("unknown", "silent.test"), "bulk_senders": "unknown"},
    ),
    "failing include": (
        spf("v=spf1 include:failing.test -all"),
        {"spf": ("unknown", "failing.test"), "bulk_senders": "unknown"},
    ),
    "long spf by tcp": (spf("v=spf1 " + "ip4:203.0.113.0/31 " * 90 + "-all"), {}),
    # DKIM
    "revoked": (
        dkim("v=DKIM1; k=rsa; p="),
        {"dkim:s1": ("error", "revoked"), "alignment": "warning"} | BULK,
    ),
    "cut key": (
        dkim(f"v=DKIM1; p={KEY[:200]}"),
        {"dkim:s1": ("error", "cut or changed"), "alignment": "warning"} | BULK,
    ),
    "cut into records": (
        dkim(f"v=DKIM1; k=rsa; p={KEY[:200]}", KEY[200:]),
        {"dkim:s1": ("error", "cut into 2 records"), "alignment": "warning"} | BULK,
    ),
    "testing": (dkim(f"v=DKIM1; t=y; p={KEY}"), {"dkim:s1": ("warning", "t=y")}),
    "several strings": (
        dkim((KEY_RECORD[:200].encode(), KEY_RECORD[200:].encode())),
        {},
    ),
    "no selector": (
        {"s1._domainkey.a.test": None},
        {
            "dkim": ("warning", "No DKIM selector"),
            "bulk_senders": "warning",
            "alignment": "warning",
        },
    ),
    # DMARC
    "no policy": (
        {"_dmarc.a.test": None},
        {"dmarc": ("error", "No DMARC policy")} | BULK,
    ),
    "two policies": (dmarc(DMARC, DMARC + ";"), {"dmarc": ("error", "2 DMARC records")} | BULK),
    "none": (dmarc(DMARC.replace("reject", "none")), {"dmarc": ("warning", "policy is none")}),
    "pct": (dmarc(DMARC + "; pct=10; ri=60; rf=afrf"), {"dmarc": ("warning", "pct, rf, ri")}),
    "size": (dmarc(DMARC + "!10m"), {"dmarc": ("warning", "!10m")}),
    "testing policy": (dmarc(DMARC + "; t=y"), {"dmarc": ("warning", "as if it were quarantine")}),
    "no reports": (dmarc("v=DMARC1; p=reject"), {"dmarc": ("warning", "No address for")}),
    "bad policy with reports": (
        dmarc("v=DMARC1; p=rejekt; rua=mailto:d@a.test"),
        {"dmarc": ("warning", "not one of")},
    ),
    "bad policy alone": (
        dmarc("v=DMARC1; p=rejekt"),
        {"dmarc": ("error", "ignore the whole record")} | BULK,
    ),
    "small letters": (
        dmarc("v=dmarc1; p=reject; rua=mailto:d@a.test"),
        {"dmarc": ("error", "is not read as a DMARC record")} | BULK,
    ),
    "foreign reports": (
        dmarc("v=DMARC1; p=reject; rua=mailto:d@elsewhere.example"),
        {"dmarc": ("warning", "does not say that it takes reports")},
    ),
    "foreign reports agreed": (
        dmarc("v=DMARC1; p=reject; rua=mailto:d@elsewhere.example")
        | txt("a.test._report._dmarc.elsewhere.example", "v=DMARC1;"),
        {},
    ),
    "foreign failure reports": (
        dmarc(DMARC + "; ruf=mailto:d@elsewhere.example; fo=1:d"),
        {"dmarc": ("warning", "does not say that it takes reports")},
    ),
    "silent policy": (
        {"_dmarc.a.test": "silent"},
        {"dmarc": "unknown", "bulk_senders": "unknown"},
    ),
    # MX and reverse DNS
    "null mx": (
        {"a.test": GOOD["a.test"] | {"MX": ["0 ."]}},
        {"mx": ("warning", "null MX"), "dmarc": ("warning", "takes no mail")},
    ),
    "no mx": ({"a.test": GOOD["a.test"] | {"MX": []}}, {"mx": ("warning", "no MX")}),
    "no name": (
        {POINTER: None},
        {f"ptr:{ADDRESS}": ("warning", "no name"), "bulk_senders": "warning"},
    ),
    "a name that leads elsewhere": (
        {"out.a.test": {"A": ["203.0.113.9"]}},
        {f"ptr:{ADDRESS}": ("warning", "does not lead back"), "bulk_senders": "warning"},
    ),
    "failing reverse zone": (
        {POINTER: "failing"},
        {f"ptr:{ADDRESS}": "unknown", "bulk_senders": "unknown"},
    ),
    # lists
    "listed address": (
        {f"{POINTER.removesuffix('.in-addr.arpa')}.zen.spamhaus.org": {"A": ["127.0.0.2"]}},
        {"dnsbl": ("error", f"{ADDRESS} is on the list zen.spamhaus.org")},
    ),
    "listed domain": (
        {"a.test.dbl.spamhaus.org": {"A": ["127.0.1.2"], "TXT": ["see the list"]}},
        {"dnsbl": ("error", "a.test is on the list dbl.spamhaus.org")},
    ),
    "a list that refuses us": ({"a.test.dbl.spamhaus.org": {"A": ["127.255.255.254"]}}, {}),
    "a list that was given up": (
        {
            "a.test.dbl.spamhaus.org": {"A": ["127.0.1.2"]},
            "invalid.dbl.spamhaus.org": {"A": ["127.0.1.2"]},
        },
        {},
    ),
    # the optional ones
    "sts without id": (txt("_mta-sts.a.test", "v=STSv1;"), {"mta_sts": ("warning", "no valid id")}),
    "two sts": (
        txt("_mta-sts.a.test", "v=STSv1; id=1", "v=STSv1; id=2"),
        {"mta_sts": ("warning", "2 MTA-STS records")},
    ),
    "sts without host": (
        txt("_mta-sts.a.test", "v=STSv1; id=20260101"),
        {"mta_sts": ("warning", "has no address")},
    ),
    "sts at a host that is not public": (
        txt("_mta-sts.a.test", "v=STSv1; id=20260101") | {"mta-sts.a.test": {"A": ["127.0.0.1"]}},
        {"mta_sts": ("warning", "not public")},
    ),
    "tls-rpt": (txt("_smtp._tls.a.test", "v=TLSRPTv1; rua=mailto:t@a.test"), {}),
    "tls-rpt without address": (
        txt("_smtp._tls.a.test", "v=TLSRPTv1;"),
        {"tls_rpt": ("warning", "names no address")},
    ),
    "two tls-rpt": (
        txt("_smtp._tls.a.test", "v=TLSRPTv1; rua=mailto:t@a.test", "v=TLSRPTv1;"),
        {"tls_rpt": ("warning", "2 TLS-RPT records")},
    ),
    "bimi": (txt("default._bimi.a.test", "v=BIMI1; l=https://a.test/logo.svg"), {}),
    "bimi by http": (
        txt("default._bimi.a.test", "v=BIMI1; l=http://a.test/logo.svg"),
        {"bimi": ("warning", "not an https address")},
    ),
    "bimi without policy": (
        txt("default._bimi.a.test", "v=BIMI1; l=https://a.test/logo.svg")
        | dmarc(DMARC.replace("reject", "none")),
        {"bimi": ("warning", "isn't enforced"), "dmarc": "warning"},
    ),
    "signed without a key": (
        {
            "a.test": GOOD["a.test"]
            | {"SOA": ["ns.a.test h.a.test 1 2 3 4 5"], "DS": ["1 8 2 " + "00" * 32]}
        },
        {"dnssec": ("error", "it shows none (DNSKEY)")},
    ),
}


@pytest.fixture
def serve(dns, monkeypatch):
    """Serve the good zone with changes: a name's records, None for no name, or how it fails."""
    command = "mailops.domains.management.commands.check_domain"
    monkeypatch.setattr(f"{command}.the_resolver", lambda _: patient(dns))

    def serve(changes):
        zones = AROUND | GOOD | {n: c for n, c in changes.items() if not isinstance(c, str)}
        dns.zones.update({name: records for name, records in zones.items() if records is not None})
        dns.silent = {"silent.test", *(n for n, c in changes.items() if c == "silent")}
        dns.failing = {"failing.test", *(n for n, c in changes.items() if c == "failing")}
        return dns

    return serve


def findings(server, name="a.test"):
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_domain", name, "--nameserver", server.address, "--json", stdout=out)
    said = json.loads(out.getvalue())
    return ended.value.code, {one["check"]: one for one in said["checks"]}


@pytest.mark.parametrize("case", CASES)
def test_each_finding_is_where_it_should_be_and_nowhere_else(serve, case):
    changes, wanted = CASES[case]
    _, found = findings(serve(changes))
    wanted = {check: of if isinstance(of, tuple) else (of, "") for check, of in wanted.items()}
    odd = {check: one["status"] for check, one in found.items() if one["status"] != "ok"}
    assert odd == {check: status for check, (status, _) in wanted.items() if status}, found
    for check, (status, words) in wanted.items():
        if status:
            assert words in found[check]["finding"]
            assert found[check]["fix"] or status == "unknown"


def test_a_good_zone_gets_every_check(serve):
    code, found = findings(serve({}))
    assert code == 0
    assert set(found) == ALL_WELL


class TestTree:
    """DMARC three levels deep: c.b.a.test sends."""

    ZONES = {
        name.replace("a.test", "c.b.a.test", 1): records
        for name, records in GOOD.items()
        if not name.startswith("_dmarc")
    }

    @pytest.mark.parametrize(
        ("records", "policy", "organization"),
        [
            ({"c.b.a.test": "p=none", "a.test": "p=reject"}, "none", "a.test"),
            ({"b.a.test": "p=none", "a.test": "p=reject; sp=quarantine"}, "quarantine", "a.test"),
            ({"b.a.test": "p=reject; psd=n", "a.test": "p=none"}, "reject", "b.a.test"),
            ({"a.test": "p=reject; psd=y", "b.a.test": "p=quarantine"}, "quarantine", "b.a.test"),
            ({"a.test": "p=quarantine; psd=y"}, "quarantine", "b.a.test"),
            ({"test": "p=none; sp=reject"}, "reject", "test"),
            ({"a.test": "p=none; np=reject"}, "none", "a.test"),
        ],
    )
    def test_finds_the_policy_and_whose_it_is(self, serve, records, policy, organization):
        published = {f"_dmarc.{n}": {"TXT": [f"v=DMARC1; {r}"]} for n, r in records.items()}
        server = serve({"_dmarc.a.test": None} | self.ZONES | published)
        _, found = findings(server, "c.b.a.test")
        lines = found["dmarc"]["evidence"]
        assert f"Organizational domain: {organization}" in lines
        assert f"In force for c.b.a.test: {policy}" in lines
        assert found["alignment"]["status"] == "ok"

    def test_np_counts_for_a_name_that_is_not_there(self, serve, asks):
        from mailops.domains.checks.dmarc import walk_tree

        serve({"_dmarc.a.test": {"TXT": ["v=DMARC1; p=none; sp=quarantine; np=reject"]}})
        assert walk_tree("gone.a.test", asks).effective_policy == "reject"
        assert walk_tree("out.a.test", asks).effective_policy == "quarantine"


class TestExit:
    def test_a_name_server_that_is_silent_is_2_and_quick(self, serve):
        server = serve({})
        server.is_silent = True
        code, found = findings(server)
        assert code == 2
        assert {one["status"] for one in found.values()} == {"unknown"}

    def test_a_port_nobody_listens_on_is_2(self, serve, monkeypatch):
        server = serve({})
        dead = Resolver((("127.0.0.1", 1),))
        command = "mailops.domains.management.commands.check_domain"
        monkeypatch.setattr(f"{command}.the_resolver", lambda _: dead)
        assert findings(server)[0] == 2

    @pytest.mark.parametrize("name", ["b\u00fccher.a.test", "xn--bcher-kva.a.test", "A.TEST."])
    def test_names_are_a_labels_in_small_letters(self, serve, name):
        server = serve({})
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("check_domain", name, "--nameserver", server.address, "--json", stdout=out)
        assert json.loads(out.getvalue())["domain"] in {"xn--bcher-kva.a.test", "a.test"}
