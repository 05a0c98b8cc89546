import pytest

from mailops.domains.checks.spf import check_spf, record_with
from mailops.domains.models import CheckStatus, DnsRecord


@pytest.fixture
def check(dns, asks):
    def check(*records, needs=(), **zones):
        dns.zones["a.example"] = {"TXT": list(records)}
        dns.zones.update({f"{name}.example": {"TXT": [text]} for name, text in zones.items()})
        verdict, seen = check_spf("a.example", needs, asks)
        return verdict, seen

    return check


class TestCheckSpf:
    def test_one_record_that_lets_all_in_is_well(self, check):
        verdict, seen = check(
            "v=spf1 include:b.example ip4:192.0.2.0/24 -all",
            needs=["b.example", "192.0.2.7", "198.51.100.1"],
            b="v=spf1 ip4:198.51.100.0/24 ~all",
        )
        assert verdict.status is CheckStatus.OK
        assert seen.state == "matches"

    @pytest.mark.parametrize(
        ("record", "status", "words"),
        [
            ("v=spf1 ip4:192.0.2.1 +all", "error", "lets everybody"),
            ("v=spf1 ip4:192.0.2.1 all", "error", "lets everybody"),
            ("v=spf1 ip4:192.0.2.1 ?all", "warning", "says nothing"),
            ("v=spf1 ip4:192.0.2.1", "warning", "no closing"),
            ("v=spf1 ptr -all", "warning", "must not be used"),
            ("v=spf1 ip4:300.1.1.1 -all", "error", "permerror"),
            ("v=spf1 ip4:2001:db8::1 -all", "error", "permerror"),
            ("v=spf1 inculde:b.example -all", "error", "not an SPF mechanism"),
            ("v=spf1 include: -all", "error", "names no domain"),
            ("v=spf1 include:gone.example -all", "error", "has no SPF record"),
            ("v=spf1 redirect=b.example redirect=b.example", "error", "more than once"),
        ],
    )
    def test_says_what_is_wrong(self, check, record, status, words):
        verdict, _ = check(record)
        assert verdict.status == status
        assert words in verdict.sentence
        assert verdict.fix

    def test_no_record(self, check):
        verdict, seen = check("something else", needs=["b.example"])
        assert verdict.status is CheckStatus.ERROR
        assert seen.state == "missing"
        assert seen.to_publish == "v=spf1 include:b.example ~all"

    @pytest.mark.parametrize(
        ("needed_by", "words"),
        [
            ("", ""),
            ("transport: Relay", "for transport Relay"),
            ("person: Ada", "expected by Ada"),
            ("transport: Relay and person: Ada", "for transport Relay and expected by Ada"),
            ("person: Ada and transport: Relay", "expected by Ada and for transport Relay"),
            ("person: Ada and person: Bo", "expected by Ada and expected by Bo"),
            ("transport: A and transport: B", "for transport A and for transport B"),
            ("transport: Search and Rescue", "for transport Search and Rescue"),
            ("inherited from acme.example", "inherited from acme.example"),
        ],
    )
    def test_says_what_needs_the_record(self, needed_by, words):
        assert DnsRecord(needed_by=needed_by).purpose_words == words

    def test_a_record_that_lets_nobody_in_is_not_proposed(self, check):
        verdict, seen = check()
        assert verdict.status is CheckStatus.ERROR
        assert "who sends for it" in verdict.fix
        assert (seen.state, seen.to_publish) == ("missing", "")

    @pytest.mark.parametrize("published", ["v=spf1 ?all", "v=spf1"])
    def test_a_published_record_that_lets_nobody_in_is_to_be_closed(self, check, published):
        verdict, seen = check(published)
        assert verdict.status is CheckStatus.WARNING
        assert (seen.state, seen.to_publish) == ("differs", "v=spf1 ~all")

    def test_a_closed_record_that_lets_nobody_in_is_as_it_should_be(self, check):
        verdict, seen = check("v=spf1 ~all")
        assert (verdict.status, seen.state) == ("ok", "matches")

    @pytest.mark.parametrize(
        "record",
        [
            "v=spf1 ip4:192.0.2.1 -all exp=why.b.example",  # as RFC 7208 section 6 has it
            "v=spf1  ip4:192.0.2.1   -all ",
            "V=SPF1 IP4:192.0.2.1 -ALL",
            "v=spf1 ip4:192.0.2.1 ip4:192.0.2.1 -all",
            "v=spf1 redirect=b.example ip4:192.0.2.1",
            "v=spf1 -all redirect=b.example",
        ],
    )
    def test_a_record_that_says_what_it_should_stays_as_it_is_written(self, check, record):
        verdict, seen = check(record, b="v=spf1 ip4:192.0.2.2 -all")
        assert (verdict.status, seen.state, seen.to_publish) == ("ok", "matches", record)

    @pytest.mark.parametrize(
        "record", ["v=spf1 -all ip4:192.0.2.1", "v=spf1 ip4:300.1.1.1 ip4:192.0.2.1 -all"]
    )
    def test_a_record_that_says_something_else_does_not(self, check, record):
        _, seen = check(record)
        assert (seen.state, seen.to_publish) == ("differs", "v=spf1 ip4:192.0.2.1 -all")

    def test_two_records_that_let_nobody_in_are_joined(self, check):
        verdict, seen = check("v=spf1 ~all", "v=spf1 ?all")
        assert "Join them into one, “v=spf1 ~all”" in verdict.fix
        assert seen.state == "differs"

    def test_two_records_are_none_and_the_merged_one_is_shown(self, check):
        verdict, seen = check("v=spf1 ip4:192.0.2.1 -all", "v=spf1 ip4:192.0.2.2 ~all")
        assert "2 SPF records" in verdict.sentence
        assert seen.to_publish == "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"
        assert seen.state == "differs"

    def test_a_missing_include_is_added_before_all(self, check):
        verdict, seen = check("v=spf1 mx -all", needs=["b.example", "192.0.2.9"])
        assert verdict.status is CheckStatus.ERROR
        assert seen.to_publish == "v=spf1 mx include:b.example ip4:192.0.2.9 -all"

    def test_eleven_lookups_are_one_too_many(self, check):
        names = [f"n{i}" for i in range(11)]
        zones = dict.fromkeys(names, "v=spf1 ip4:192.0.2.1 -all")
        record = " ".join(["v=spf1", *(f"include:{n}.example" for n in names), "-all"])
        assert "11 DNS lookups" in check(record, **zones)[0].sentence
        ten = record.replace(" include:n10.example", "")
        assert check(ten, **zones)[0].status is CheckStatus.WARNING

    def test_lookups_of_included_records_count(self, check):
        verdict, _ = check(
            "v=spf1 include:b.example -all", b="v=spf1 a:c.example mx:c.example -all"
        )
        assert any("3 of 10 lookups" in line for line in verdict.evidence)

    def test_three_void_lookups_are_one_too_many(self, check):
        verdict, _ = check("v=spf1 a:x.example a:y.example a:z.example -all")
        assert "find nothing" in verdict.sentence

    def test_terms_behind_all_do_not_count(self, check):
        verdict, _ = check("v=spf1 ip4:192.0.2.1 -all include:gone.example")
        assert verdict.status is CheckStatus.OK

    def test_a_redirect_is_followed(self, check):
        verdict, _ = check(
            "v=spf1 redirect=b.example", needs=["192.0.2.1"], b="v=spf1 ip4:192.0.2.1 -all"
        )
        assert verdict.status is CheckStatus.OK

    def test_a_loop_of_includes_ends(self, check):
        verdict, _ = check("v=spf1 include:b.example -all", b="v=spf1 include:a.example -all")
        assert verdict.status in {"ok", "error"}

    def test_what_a_macro_lets_in_is_asked_for_as_a_receiver_does(self, check, dns):
        dns.zones["9.113.0.203.in-addr.a.example.spf.has.example"] = {
            "TXT": ["v=spf1 ip4:203.0.113.9 -all"]
        }
        dns.zones["203.0.113.7.who.example"] = {"A": ["127.0.0.2"]}
        record = "v=spf1 include:%{ir}.%{v}.%{d}.spf.has.example exists:%{i}.who.example ~all"
        for record_of, needs in [
            (record, ["203.0.113.9"]),
            ("v=spf1 exists:%{i}.who.example ~all", ["203.0.113.7"]),
        ]:
            verdict, seen = check(record_of, needs=needs)
            assert verdict.status is CheckStatus.OK
            assert seen.to_publish == record_of

    @pytest.mark.parametrize("need", ["203.0.113.0/24", "b.example", "198.51.100.1"])
    def test_what_a_macro_may_let_in_is_no_error(self, check, need):
        verdict, _ = check("v=spf1 exists:%{i}.%{l}.who.example ~all", needs=[need])
        assert verdict.status is CheckStatus.WARNING
        assert "asks anew for each mail" in verdict.sentence

    def test_a_macro_that_is_silent_proves_nothing(self, check, dns):
        dns.silent = {"203.0.113.9.who.example"}
        verdict, _ = check("v=spf1 exists:%{i}.who.example -all", needs=["203.0.113.9"])
        assert verdict.status is CheckStatus.UNKNOWN

    @pytest.mark.parametrize(
        ("record", "status"),
        [
            ("v=spf1 ip4:203.0.113.0/25 ip4:203.0.113.128/25 -all", "ok"),
            ("v=spf1 ip4:203.0.112.0/22 -all", "ok"),
            ("v=spf1 ip4:203.0.113.0/25 -ip4:203.0.113.0/24", "error"),
            ("v=spf1 ip4:203.0.113.0/25 ip4:203.0.113.192/26 -all", "error"),
            ("v=spf1 -ip4:203.0.113.9 ip4:203.0.113.0/24 -all", "error"),
            ("v=spf1 ip4:203.0.113.0/24 -ip4:203.0.113.9 -all", "ok"),
        ],
    )
    def test_a_network_is_let_in_where_all_its_parts_are(self, check, record, status):
        assert check(record, needs=["203.0.113.0/24"])[0].status == status

    def test_what_is_refused_before_it_is_let_in_is_not_let_in(self, check):
        verdict, seen = check(
            "v=spf1 -ip4:203.0.113.9 include:b.example -all",
            needs=["203.0.113.9"],
            b="v=spf1 ip4:203.0.113.0/24 -all",
        )
        assert verdict.status is CheckStatus.ERROR
        assert "since “-ip4:203.0.113.9” comes first" in verdict.sentence
        assert seen.to_publish == "v=spf1 ip4:203.0.113.9 -ip4:203.0.113.9 include:b.example -all"

    def test_what_an_include_refuses_may_be_let_in_behind_it(self, check):
        verdict, _ = check(
            "v=spf1 include:b.example ip4:203.0.113.9 -all",
            needs=["203.0.113.9"],
            b="v=spf1 -ip4:203.0.113.9 ip4:203.0.113.0/24 -all",
        )
        assert verdict.status is CheckStatus.OK

    def test_what_only_all_lets_in_stands_in_the_record_to_publish(self, check):
        _, seen = check("v=spf1 +all", needs=["203.0.113.9"])
        assert seen.to_publish == "v=spf1 ip4:203.0.113.9 ~all"

    def test_what_a_broken_record_lets_in_is_not_missing(self, check):
        verdict, seen = check(
            "v=spf1 ip4:203.0.113.9 inculde:b.example -all", needs=["203.0.113.9"]
        )
        assert "does not let in" not in verdict.sentence
        assert seen.to_publish == "v=spf1 ip4:203.0.113.9 -all"

    def test_an_include_that_is_silent_proves_nothing(self, check, dns):
        dns.silent = {"b.example"}
        verdict, _ = check("v=spf1 include:b.example -all", needs=["c.example"])
        assert verdict.status is CheckStatus.UNKNOWN
        assert "b.example" in verdict.sentence

    def test_silence_is_not_absence(self, check, dns):
        dns.is_silent = True
        verdict, seen = check("v=spf1 -all")
        assert verdict.status is CheckStatus.UNKNOWN
        assert seen.state == "unknown"


class TestRecordWith:
    def test_never_proposes_to_let_everybody_in(self):
        assert record_with((), ["v=spf1 +all"]) == "v=spf1 ~all"

    def test_keeps_terms_and_the_closing_that_are_there(self):
        record = "v=spf1 include:b.example ip4:192.0.2.1 -all"
        assert record_with(["b.example"], [record]) == record

    def test_a_redirect_closes_by_itself(self):
        assert record_with((), ["v=spf1 redirect=b.example"]) == "v=spf1 redirect=b.example"
