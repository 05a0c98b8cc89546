import pytest

from mailops.domains.checks.dmarc import MOST_DESTINATIONS, check_dmarc, walk_tree
from mailops.domains.models import CheckStatus
from mailops.protocol.dns_records import parse_dmarc, tree_walk
from tests.costs import costing_less_than

RUA = "rua=mailto:d@a.example"


@pytest.fixture
def publish(dns):
    def publish(**records):
        for name, texts in records.items():
            values = [texts] if isinstance(texts, str) else texts
            dns.zones[f"_dmarc.{name.replace('_', '.')}"] = {"TXT": values}

    return publish


@pytest.fixture
def check(asks):
    def check(name="a.example", **options):
        return check_dmarc(walk_tree(name, asks), asks, **options)

    return check


class TestTreeWalk:
    def test_asks_the_domain_and_each_parent(self):
        assert tree_walk("b.a.example") == ["b.a.example", "a.example", "example"]

    def test_shortens_a_long_name_to_seven_labels(self):
        assert tree_walk("a.b.c.d.e.f.g.h.i.j.mail.example")[1] == "f.g.h.i.j.mail.example"
        assert len(tree_walk("a.b.c.d.e.f.g.h.i.j.mail.example")) == 8

    def test_the_organizational_domain_is_the_record_with_the_fewest_labels(self, publish, asks):
        publish(c_b_a_example=f"v=DMARC1; p=none; {RUA}", a_example=f"v=DMARC1; p=reject; {RUA}")
        walk = walk_tree("c.b.a.example", asks)
        assert walk.organizational_domain == "a.example"
        assert walk.effective_policy == "none"

    def test_psd_n_ends_the_walk(self, publish, asks):
        publish(b_a_example="v=DMARC1; p=none; psd=n", a_example="v=DMARC1; p=reject")
        assert walk_tree("c.b.a.example", asks).organizational_domain == "b.a.example"

    def test_psd_y_means_the_domain_one_label_below(self, publish, asks):
        publish(example="v=DMARC1; p=reject; psd=y")
        walk = walk_tree("c.b.a.example", asks)
        assert walk.organizational_domain == "a.example"
        assert walk.effective_policy == "reject"

    def test_a_subdomain_inherits_sp(self, publish, asks):
        publish(a_example="v=DMARC1; p=reject; sp=quarantine")
        assert walk_tree("b.a.example", asks).effective_policy == "quarantine"

    def test_several_records_count_as_none(self, publish, asks):
        publish(
            b_a_example=["v=DMARC1; p=none", "v=DMARC1; p=reject"], a_example="v=DMARC1; p=reject"
        )
        assert walk_tree("b.a.example", asks).organizational_domain == "a.example"


class TestBadPolicies:
    """RFC 9989 section 4.10.1: forgiven where reports are wanted, and then all of them are none."""

    @pytest.mark.parametrize("bad", ["p=rejct", "p=reject; sp=x", "p=reject; sp=reject; np=x"])
    def test_one_makes_all_of_them_none(self, bad):
        record = parse_dmarc(f"v=DMARC1; {bad}; {RUA}")
        assert record.is_in_force
        policies = record.policy, record.subdomain_policy, record.nonexistent_policy
        assert policies == ("none", "none", "none")
        assert not parse_dmarc(f"v=DMARC1; {bad}").is_in_force

    def test_a_missing_one_counts_as_none_and_others_stand(self):
        record = parse_dmarc("v=DMARC1; np=reject")
        assert record.is_in_force
        assert (record.policy, record.nonexistent_policy) == ("none", "reject")

    def test_the_page_says_so(self, publish, check):
        publish(a_example=f"v=DMARC1; p=reject; sp=x; {RUA}")
        assert "take all of p, sp and np for none" in check()[0].sentence


class TestCheckDmarc:
    def test_a_strong_policy_with_reports_is_well(self, publish, check):
        publish(a_example=f"v=DMARC1; p=reject; {RUA}")
        verdict, seen = check()
        assert verdict.status is CheckStatus.OK
        assert seen.state == "matches"

    @pytest.mark.parametrize(
        ("record", "status", "words"),
        [
            (f"v=DMARC1; p=none; {RUA}", "warning", "The policy is none"),
            (f"v=DMARC1; p=quarantine; pct=50; {RUA}", "warning", "removed"),
            (f"v=DMARC1; p=reject; t=y; {RUA}", "warning", "t=y"),
            (f"v=DMARC1; p=rejct; {RUA}", "warning", "not one of"),
            ("v=DMARC1; p=reject", "warning", "No address for aggregate reports"),
            ("v=DMARC1; p=reject; rua=d@a.example", "warning", "not a mailto"),
        ],
    )
    def test_says_what_is_wrong(self, publish, check, record, status, words):
        publish(a_example=record)
        verdict, _ = check()
        assert verdict.status == status
        assert words in verdict.sentence
        assert verdict.fix

    def test_a_record_of_nothing_but_faults_is_told_in_a_few_words(self, publish, check):
        bad = "; ".join(f"t{n}=1; t{n}=1" for n in range(800))
        publish(a_example=f"v=DMARC1; p=reject; {RUA}; {bad}")
        sentence = check()[0].sentence
        assert "And 788 more." in sentence
        assert len(sentence) < 2000

    def test_a_record_as_long_as_dns_takes_costs_little(self, publish, check):
        publish(a_example=f"v=DMARC1; p=reject; {RUA}; fo={'0' * 60_000}")
        with costing_less_than(seconds=2):
            sentence = check("f.e.d.c.b.a.example")[0].sentence
        assert "is not a list of 0 or 1, d and s" in sentence
        assert len(sentence) < 2000

    def test_of_many_that_reports_go_to_some_are_looked_at(self, publish, check, dns):
        hosts = [f"{n}.reports.test" for n in range(100)]
        publish(a_example=f"v=DMARC1; p=reject; rua={','.join(f'mailto:x@{h}' for h in hosts)}")
        assert hosts[0] in check()[0].sentence
        asked = {name for _, name, _ in dns.asked}
        assert len(asked & set(hosts)) == MOST_DESTINATIONS

    @pytest.mark.parametrize(
        ("options", "is_sound"),
        [("1:d:S", True), ("0", True), ("0:1", False), ("d:d", False), ("d:", False), ("x", False)],
    )
    def test_knows_the_options_of_failure_reports(self, options, is_sound):
        assert bool(parse_dmarc(f"v=DMARC1; p=none; fo={options}").problems) is not is_sound

    def test_no_policy_anywhere(self, dns, check):
        verdict, seen = check()
        assert verdict.status is CheckStatus.ERROR
        assert seen.to_publish.startswith("v=DMARC1; p=none; rua=")

    def test_the_least_policy_that_somebody_needs(self, publish, check):
        publish(a_example=f"v=DMARC1; p=none; {RUA}")
        verdict, seen = check(least="quarantine")
        assert verdict.status is CheckStatus.ERROR
        assert "p=quarantine" in seen.to_publish

    def test_another_domain_must_agree_to_take_reports(self, publish, check, dns):
        publish(a_example="v=DMARC1; p=reject; rua=mailto:x@reports.test")
        assert "does not say that it takes reports" in check()[0].sentence
        dns.zones["a.example._report._dmarc.reports.test"] = {"TXT": ["v=DMARC1"]}
        assert check()[0].status is CheckStatus.OK

    def test_silence_at_the_domain_proves_nothing_but_above_the_policy_it_does_not_matter(
        self, publish, check, dns
    ):
        publish(a_example=f"v=DMARC1; p=reject; {RUA}")
        dns.silent = {"_dmarc.example"}
        assert check()[0].status is CheckStatus.OK
        dns.silent = {"_dmarc.b.a.example"}
        assert check("b.a.example")[0].status is CheckStatus.UNKNOWN
