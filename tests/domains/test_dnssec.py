"""Whole signed zones from a loopback name server: the root, `test`, and a sender domain below it."""

import json
import time
from io import StringIO

import dns.dnssec
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from django.core.management import call_command

from mailops.domains.checking import check_domain
from mailops.domains.checks.dnssec import check_dnssec, read_anchors
from mailops.lib.resolver import Memo, Resolver
from mailops.lib.signed_answers import read_signed
from tests.factories import make_domain
from tests.lib.signed_zones import NOW, WEEK, SignedNameserver, SignedZone

RECORDS = {
    "a.test.": {"MX": ["10 mx.a.test."], "TXT": ['"v=spf1 -all"']},
    "_dmarc.a.test.": {"TXT": ['"v=DMARC1; p=reject"']},
    "s1._domainkey.a.test.": {"TXT": ['"v=DKIM1; p="']},
    "s2._domainkey.a.test.": {"CNAME": ["s2.provider.test."]},
}
PARENTS = [("ns.test.", {"A": ["127.0.0.1"]})]


@pytest.fixture(scope="module")
def server():
    zones = [SignedZone(".", {}), SignedZone("test", dict(PARENTS)), SignedZone("a.test", RECORDS)]
    with SignedNameserver(*zones) as server:
        yield server


@pytest.fixture
def zones(server):
    """The server with all three zones as they should be; a test breaks what it is about and signs again."""
    server.silent, server.strips, server.is_plain = set(), False, False
    server.asked.clear()
    server.zones = {
        zone.name: zone
        for zone in (
            SignedZone(".", {}),
            SignedZone("test", dict(PARENTS)),
            SignedZone("a.test", RECORDS),
        )
    }
    return server


def check(server, domain="a.test", *, anchors=None, now=NOW, selectors=("s1", "s2"), seconds=15):
    resolver = Resolver((("127.0.0.1", server.port),), query_seconds=10)
    if domain in server.silent or "" in server.silent:
        resolver = Resolver((("127.0.0.1", server.port),), query_seconds=0.05)
    return check_dnssec(
        domain,
        Memo(resolver),
        resolver.signed,
        anchors=read_anchors(anchors if anchors is not None else [server["."].anchor()]),
        now=now,
        selectors=selectors,
        seconds=seconds,
    )


class TestSecure:
    def test_the_chain_holds_from_the_root_to_each_record(self, zones):
        verdict = check(zones.sign())
        assert verdict.status == "ok", verdict
        assert "the chain of trust from the root to its records holds" in verdict.sentence
        signed = "\n".join(verdict.evidence)
        for what in ("DS of test", "DNSKEY of a.test", "TXT of s1._domainkey.a.test"):
            assert what in signed
        assert "CNAME of s2._domainkey.a.test" in signed

    @pytest.mark.parametrize("algorithm", ["ED25519", "RSASHA256"])
    def test_holds_by_other_algorithms(self, zones, algorithm):
        zone = SignedZone("a.test", RECORDS, algorithm=algorithm)
        zones.zones[zone.name] = zone
        assert "the chain of trust" in check(zones.sign()).sentence

    def test_a_subdomain_is_held_by_the_zone_above(self, zones):
        zones["a.test"].records["news.a.test."] = {"TXT": ['"v=spf1 -all"']}
        assert "The zone a.test is signed" in check(zones.sign(), "news.a.test").sentence

    def test_a_name_between_others_is_no_zone(self, zones):
        zones["a.test"].records["x.deep.a.test."] = {"TXT": ['"v=spf1 -all"']}
        assert "The zone a.test is signed" in check(zones.sign(), "x.deep.a.test").sentence

    def test_may_begin_at_an_anchor_of_ones_own(self, zones):
        verdict = check(zones.sign(), anchors=[zones["test"].anchor()])
        assert "the chain of trust from test" in verdict.sentence
        assert (dns.name.root, dns.rdatatype.DNSKEY) not in zones.asked


class TestInsecure:
    def test_a_zone_without_ds_is_unsigned_where_its_parent_signs_that(self, zones):
        zones["a.test"].is_signed = False
        verdict = check(zones.sign())
        assert verdict.status == "ok"
        assert "not signed" in verdict.sentence
        assert "test delegates a.test without a DS, and signs that." in verdict.evidence

    def test_keys_that_no_parent_vouches_for_are_named(self, zones):
        zones["a.test"].vouched = []
        assert "its parent does not say so" in check(zones.sign()).sentence

    def test_algorithms_that_nobody_knows_count_as_unsigned_and_warn(self, zones):
        zones["a.test"].vouched = [f"1 253 2 {'ab' * 32}"]
        verdict = check(zones.sign())
        assert verdict.status == "warning"
        assert "algorithms alone that validators don't know" in verdict.sentence
        assert verdict.fix

    def test_hashed_proofs_of_absence_count(self, zones):
        zones["a.test"].is_signed = False
        by_nsec3(zones.sign(), "test", "a.test")
        assert "not signed" in check(zones).sentence

    def test_hashed_proofs_by_opt_out_count(self, zones):
        zones["a.test"].is_signed = False
        by_nsec3(zones.sign(), "test", "a.test", opt_out=True)
        assert "not signed" in check(zones).sentence


class TestBogus:
    def expect(self, verdict, words, fix="DNS provider"):
        assert verdict.status == "error", verdict
        assert words in verdict.sentence
        assert fix in verdict.fix

    def test_an_expired_signature(self, zones):
        zones["a.test"].until = NOW - 60
        zones["a.test"].since = NOW - WEEK
        self.expect(check(zones.sign()), "over the DNSKEY of a.test expired on 21 Sep 2026")

    def test_a_signature_of_the_future(self, zones):
        zones["a.test"].since = NOW + 60
        self.expect(check(zones.sign()), "holds only from")

    def test_one_record_whose_signature_expired(self, zones):
        zones.sign()
        late = SignedZone("a.test", RECORDS, until=NOW - 60)
        late.private, late.key = zones["a.test"].private, zones["a.test"].key
        name = dns.name.from_text("_dmarc.a.test")
        signature = late.zone().get_rdataset(name, "RRSIG", "TXT")
        zones.served[late.name].nodes[name].replace_rdataset(signature)
        self.expect(check(zones), "over the TXT of _dmarc.a.test expired")

    def test_a_ds_of_another_key(self, zones):
        zones["a.test"].vouched = [zones["a.test"].ds()[:-4] + "0000"]
        self.expect(check(zones.sign()), "none of the 1 keys that it shows fits (DS)", "registrar")

    def test_a_key_that_is_missing(self, zones):
        zones["a.test"].vouched, zones["a.test"].is_signed = [zones["a.test"].ds()], False
        self.expect(check(zones.sign()), "it shows none (DNSKEY)", "registrar")

    def test_a_record_that_was_changed(self, zones):
        zones.sign()
        changed = dns.rrset.from_text("a.test.", 60, "IN", "TXT", '"v=spf1 +all"')
        zones.served[zones["a.test"].name].replace_rdataset("a.test.", changed.to_rdataset())
        resign_nothing(zones, "a.test.", "TXT")
        self.expect(check(zones), "TXT of a.test")

    def test_a_record_without_signature(self, zones):
        zones.sign()
        resign_nothing(zones, "a.test.", "MX")
        self.expect(check(zones), "the MX of a.test carries no signature")

    def test_an_unknown_algorithm_where_a_known_one_is_promised(self, zones):
        zones.sign()
        node = zones.served[zones["a.test"].name].nodes[dns.name.from_text("a.test")]
        for rdataset in node.rdatasets:
            if rdataset.rdtype == dns.rdatatype.RRSIG and rdataset.covers == dns.rdatatype.DNSKEY:
                signature = rdataset[0].replace(algorithm=253)
                rdataset.clear()
                rdataset.add(signature)
        self.expect(check(zones), "an algorithm that is not known")

    def test_a_providers_zone_that_an_alias_leads_to_is_its_to_mend(self, zones):
        zones.zones[dns.name.from_text("provider.test")] = provider = SignedZone(
            "provider.test", {"s2.provider.test.": {"TXT": ['"v=DKIM1; p="']}}
        )
        assert check(zones.sign()).status == "ok"
        provider.until = NOW - 60
        provider.since = NOW - WEEK
        self.expect(check(zones.sign()), "DNSKEY of provider.test expired", "operator of provider")

    def test_a_denial_that_nothing_proves(self, zones):
        zones["a.test"].is_signed = False
        zones.sign().is_plain = True
        self.expect(check(zones), "nothing proves that")

    def test_above_the_domain_is_its_operators_to_mend(self, zones):
        zones["test"].vouched = [zones["test"].ds()[:-4] + "0000"]
        self.expect(check(zones.sign()), "none of the 1 keys", "operator of test")


class TestReadSigned:
    def test_a_dname_stands_for_the_alias_that_was_made_from_it(self):
        response = dns.message.make_response(dns.message.make_query("s1.old.a.test", "TXT"))
        response.answer = [
            dns.rrset.from_text("old.a.test.", 60, "IN", "DNAME", "a.test."),
            dns.rrset.from_text("s1.old.a.test.", 60, "IN", "CNAME", "s1.a.test."),
        ]
        assert str(read_signed(response, "server").alias) == "DNAME of old.a.test"


class TestIndeterminate:
    def test_silence_says_nothing(self, zones):
        zones.sign().silent = {"a.test"}
        verdict = check(zones)
        assert verdict.status == "unknown"
        assert "says nothing about the zone" in verdict.sentence

    def test_a_server_without_signatures_says_nothing(self, zones):
        zones.sign().strips = True
        verdict = check(zones)
        assert verdict.status == "unknown"
        assert "leave out signatures" in verdict.evidence[-1]

    def test_a_server_that_shows_another_root_says_nothing(self, zones):
        other = SignedZone(".", {})
        verdict = check(zones.sign(), anchors=[other.anchor()])
        assert verdict.status == "unknown"
        assert "trust anchor does not hold" in verdict.evidence[-1]

    def test_no_time_says_nothing(self, zones):
        assert check(zones.sign(), seconds=-1).status == "unknown"


class TestAdrift:
    """Name servers that know nothing of the root, as in a laboratory."""

    @pytest.fixture
    def island(self, zones):
        del zones.zones[dns.name.root], zones.zones[dns.name.from_text("test")]
        return zones

    def test_an_unsigned_zone_is_well(self, island):
        island["a.test"].is_signed = False
        assert "not signed" in check(island.sign(), anchors=[OTHER.anchor()]).sentence

    def test_a_signed_one_without_a_parent_is_well(self, island):
        assert "does not say so" in check(island.sign(), anchors=[]).sentence


@pytest.mark.django_db
class TestFromAShell:
    def run(self, server):
        out = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command(
                "check_domain", "a.test", "--nameserver", server.address, "--json", stdout=out
            )
        checks = {one["check"]: one for one in json.loads(out.getvalue())["checks"]}
        return ended.value.code, checks["dnssec"]

    def test_anchors_come_from_the_settings(self, zones, settings, monkeypatch):
        command = "mailops.domains.management.commands.check_domain"
        patient = Resolver((("127.0.0.1", zones.port),), query_seconds=10)
        monkeypatch.setattr(f"{command}.the_resolver", lambda _: patient)
        later = time.time() + WEEK
        for zone in zones.zones.values():
            zone.until = later
        settings.MAILOPS_TRUST_ANCHORS = [zones["."].anchor()]
        _, found = self.run(zones.sign())
        assert "the chain of trust from the root" in found["finding"]
        zones["a.test"].until = time.time() - 60
        code, found = self.run(zones.sign())
        assert (code, found["status"]) == (1, "error")
        assert "expired" in found["finding"]

    def test_what_can_not_be_followed_flips_nothing(self, zones, settings):
        domain = make_domain(name="a.test")
        patient = Resolver((("127.0.0.1", zones.port),), query_seconds=10)
        settings.MAILOPS_TRUST_ANCHORS = [zones["."].anchor()]

        def finding():
            check_domain(domain, asks=patient)
            return domain.findings.get(check_name="dnssec")

        for zone in zones.zones.values():
            zone.until = time.time() + WEEK
        zones.sign()
        assert finding().is_well
        zones.strips = True
        assert (finding().status, finding().is_stale) == ("ok", True)
        zones.strips = False
        zones["a.test"].until = time.time() - 60
        zones.sign()
        assert finding().is_broken
        zones.strips = True
        assert (finding().status, finding().is_stale) == ("error", True)

    def test_the_roots_are_those_that_iana_published(self, settings):
        anchors = read_anchors(settings.MAILOPS_TRUST_ANCHORS)[dns.name.root]
        assert [(ds.key_tag, ds.algorithm, ds.digest_type) for ds in anchors] == [
            (20326, 8, 2),
            (38696, 8, 2),
        ]


OTHER = SignedZone(".", {})


def resign_nothing(server, name, kind):
    """Serve the records of `kind` without their signature or, if they were changed, with the old one."""
    node = server.served[dns.name.from_text("a.test")].nodes[dns.name.from_text(name)]
    for rdataset in list(node.rdatasets):
        if (
            rdataset.rdtype == dns.rdatatype.RRSIG
            and rdataset.covers == dns.rdatatype.from_text(kind)
            and kind != "TXT"
        ):
            node.rdatasets.remove(rdataset)


def by_nsec3(server, zone, cut, *, opt_out=False):
    """Let `zone` deny by hashes: a record for `cut`, or one for itself and one that passes over `cut`."""
    signed, served = server[zone], server.served[server[zone].name]
    for node in served.nodes.values():
        node.rdatasets = [
            one for one in node.rdatasets if dns.rdatatype.NSEC not in {one.rdtype, one.covers}
        ]

    def add(owner, flags, following, types):
        text = f"1 {flags} 0 - {following} {types}"
        name = dns.name.from_text(f"{owner}.{zone}.")
        rrset = dns.rrset.from_text(name, 60, "IN", "NSEC3", text)
        signature = dns.dnssec.sign(
            rrset, signed.private, signed.name, signed.key,
            inception=NOW - WEEK, expiration=NOW + WEEK,
        )  # fmt: skip
        served.replace_rdataset(name, rrset.to_rdataset())
        held = dns.rrset.from_rdata(name, 60, signature)
        served.find_node(name).replace_rdataset(held.to_rdataset())

    def hash_of(name):
        return dns.dnssec.nsec3_hash(name, None, 0, 1)

    if not opt_out:
        return add(hash_of(cut), 0, hash_of(zone), "NS")
    add(hash_of(zone), 0, hash_of(zone), "NS SOA DNSKEY")
    return add("0" * 31 + "1", 1, "V" * 31 + "U", "NS DS")
