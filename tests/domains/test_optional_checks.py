"""The checks that need more than a zone: policies from the web, keys, lists, and the domain's own name servers."""

import pytest

from mailops.domains.checks.authority import check_authority
from mailops.domains.checks.dnsbl import Lists, check_dnsbl
from mailops.domains.checks.reverse import check_ptr, sending_addresses
from mailops.domains.checks.spf import check_spf
from mailops.domains.checks.transport_security import check_mta_sts
from mailops.lib.dns_answers import Answer, Status
from mailops.lib.egress import EgressFault
from mailops.lib.fetching import Fetched

POLICY = "version: STSv1\nmode: enforce\nmx: *.a.test\nmax_age: 604800\n"
SILENT = Answer(Status.TIMEOUT, detail="silence")


def asks_of(zones):
    def asks(name, rdtype):
        answer = zones.get((name, rdtype), Answer(Status.NODATA))
        return answer if isinstance(answer, Answer) else Answer(Status.FOUND, tuple(answer))

    return asks


class TestMtaSts:
    ZONE = {
        ("_mta-sts.a.test", "TXT"): ["v=STSv1; id=20260101"],
        ("mta-sts.a.test", "A"): ["203.0.113.1"],
        ("a.test", "MX"): ["10 mx.a.test"],
    }

    def check(self, body=POLICY, status=200, kind="text/plain; charset=utf-8", **zones):
        def fetches(url, asks):
            assert url == "https://mta-sts.a.test/.well-known/mta-sts.txt"
            if isinstance(body, EgressFault):
                raise body
            return Fetched(status, {"content-type": kind}, body.encode())

        asks = asks_of(self.ZONE | zones.get("more", {}))
        return check_mta_sts("a.test", asks, fetches)[0]

    def test_a_policy_that_names_every_mx_is_well(self):
        verdict = self.check()
        assert verdict.status == "ok"
        assert "enforce" in verdict.sentence

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"body": POLICY.replace("*.a.test", "*.b.test")}, "does not name mx.a.test"),
            ({"body": POLICY.replace("*.a.test", "*.x.a.test")}, "does not name mx.a.test"),
            ({"body": POLICY.replace("enforce", "strict")}, "mode “strict”"),
            ({"body": POLICY.replace("604800", "soon")}, "max_age"),
            ({"body": POLICY.replace("604800", "99999999")}, "max_age"),
            ({"body": POLICY.replace("604800", "0" * 5000)}, "max_age"),
            ({"body": POLICY.replace("STSv1", "STSv2")}, "version"),
            ({"body": "version: STSv1\nmode: enforce\nmax_age: 1"}, "names no MX"),
            ({"body": "<html>"}, "version"),
            ({"more": {("a.test", "MX"): Answer(Status.NODATA)}}, "does not name a.test, "),
            ({"kind": "text/html"}, "text/html"),
            ({"status": 404}, "404"),
            ({"status": 302}, "redirect"),
            ({"body": EgressFault("tls", "bad certificate")}, "can't be fetched"),
            ({"body": EgressFault("not_allowed", "not public")}, "can't be fetched"),
        ],
    )
    def test_says_what_is_wrong(self, options, words):
        verdict = self.check(**options)
        assert verdict.status == "warning"
        assert words in verdict.sentence
        assert verdict.fix

    def test_a_domain_without_mx_is_its_own_and_takes_no_mail_with_a_null_mx(self):
        own = POLICY.replace("*.a.test", "a.test")
        for answer in (Answer(Status.NODATA), Answer(Status.FOUND, ("0 .",))):
            assert self.check(own, more={("a.test", "MX"): answer}).status == "ok"

    def test_an_mx_that_dns_keeps_silent_about_is_not_held_against_the_policy(self):
        silent = {("a.test", "MX"): SILENT}
        assert self.check(more=silent).status == "unknown"
        assert self.check(POLICY.replace("604800", "soon"), more=silent).status == "warning"

    def test_what_can_not_be_reached_from_here_is_not_known(self):
        assert self.check(body=EgressFault("timeout", "no answer")).status == "unknown"

    def test_a_host_that_dns_does_not_tell_of_is_not_known(self):
        assert self.check(more={("mta-sts.a.test", "A"): SILENT}).status == "unknown"

    def test_mode_none_asks_for_nothing(self):
        assert self.check(body="version: STSv1\nmode: none\nmax_age: 60\n").status == "ok"


class TestDnsbl:
    def test_no_list_that_answers_is_not_known(self):
        verdict = check_dnsbl("a.test", [], Lists(of_domains=["l.test"]), lambda *_: SILENT)
        assert verdict.status == "unknown"

    def test_without_lists_there_is_nothing_to_say(self):
        assert check_dnsbl("a.test", [], Lists(), lambda *_: SILENT) is None


class TestReverse:
    ZONE = {("a.test", "TXT"): ["v=spf1 ip4:203.0.113.7 ip4:10.0.0.1 ip4:203.0.113.0/24 -all"]}

    def test_ours_and_those_in_the_record_are_looked_at_but_no_inner_ones(self):
        found = sending_addresses(["a.test"], ["198.51.100.1", "x.test"], asks_of(self.ZONE))
        assert {str(ip): ours for ip, ours in found.items()} == {
            "198.51.100.1": True,
            "203.0.113.7": False,
        }

    def test_a_missing_name_of_ours_is_an_error_and_another_a_warning(self):
        ip = next(iter(sending_addresses(["a.test"], [], asks_of(self.ZONE))))
        assert check_ptr(ip, asks_of({}), is_ours=True).status == "error"
        assert check_ptr(ip, asks_of({}), is_ours=False).status == "warning"


class TestAuthority:
    """The domain's own name servers, which are asked beside the resolver."""

    @pytest.fixture
    def look(self, dns, asks, settings):
        dns.zones["a.test"] = {
            "NS": ["ns1.a.test"],
            "SOA": ["ns1.a.test h.a.test 1 2 3 4 5"],
            "TXT": ["v=spf1 -all"],
        }
        dns.zones["ns1.a.test"] = {"A": ["127.0.0.1"]}
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("ns1.a.test", dns.port)})

        def look():
            seen = check_spf("a.test", [], asks)[1]
            return lambda: check_authority("a.test", [seen], asks, port=dns.port)

        return look

    def test_the_same_everywhere_is_well(self, look):
        assert look()().verdict.status == "ok"

    def test_a_change_that_has_not_spread_is_shown(self, look, dns):
        later = look()
        dns.zones["a.test"] = dns.zones["a.test"] | {"TXT": ["v=spf1 +all"]}
        found = later()
        assert "has not spread" in found.verdict.sentence
        assert found.differences[0].by_resolver == ("v=spf1 -all",)
        assert found.differences[0].by_server == {"ns1.a.test": ("v=spf1 +all",)}

    def test_a_server_that_may_not_be_asked_is_not_known(self, look, settings):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset()
        assert look()().verdict.status == "unknown"

    def test_a_domain_without_name_servers_has_no_such_check(self, asks):
        assert check_authority("gone.test", [], asks) is None
