from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Event

import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.domains import checking
from mailops.domains.checking import check_domain, check_due_domains
from mailops.domains.checks.authority import Difference
from mailops.domains.checks.exchange import check_mx, check_return_path
from mailops.domains.examining import ASKERS, examine
from mailops.domains.history import history
from mailops.domains.models import DnsObservation, Domain, Finding
from mailops.lib.dns_answers import Answer, Status
from mailops.lib.resolver import resolve
from tests.domains.zones import KEY_RECORD, make_acme
from tests.factories import make_domain

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(good):
    return make_acme()


def statuses(domain):
    return dict(domain.findings.values_list("check_name", "status"))


class TestCheckDomain:
    def test_a_domain_as_it_should_be_is_well(self, acme, asks):
        check_domain(acme, asks=asks)
        acme.refresh_from_db()
        assert set(statuses(acme).values()) == {"ok"}, statuses(acme)
        assert acme.status == "ok"
        assert acme.next_check_at > timezone.now() + timedelta(minutes=50)

    def test_a_silent_resolver_flips_nothing(self, acme, asks, good):
        check_domain(acme, asks=asks)
        before = statuses(acme)
        good.is_silent = True
        findings = check_domain(acme, asks=asks)
        acme.refresh_from_db()
        assert statuses(acme) == before
        assert acme.status == "ok"
        assert all(finding.is_stale for finding in findings if finding.check_name != "alignment")
        assert acme.next_check_at < timezone.now() + timedelta(minutes=6)
        nothing = DnsObservation.objects.filter(record__domain=acme, values=[])
        assert set(nothing.values_list("record__purpose", flat=True)) == {"tls_rpt"}  # never there

    def test_a_silent_resolver_takes_no_finding_away(self, acme, asks, good):
        spf = good.zones["acme.example"]["TXT"][1].replace(" -all", " ip4:198.51.100.7 -all")
        good.zones["acme.example"]["TXT"] = [spf]
        check_domain(acme, asks=asks)
        before = statuses(acme)
        assert before["ptr:198.51.100.7"] == "warning"
        good.is_failing = True
        check_domain(acme, asks=asks)
        assert statuses(acme) == before
        assert acme.findings.get(check_name="ptr:198.51.100.7").is_stale

    def test_a_silent_resolver_does_not_heal_either(self, acme, asks, good):
        del good.zones["_dmarc.acme.example"]
        check_domain(acme, asks=asks)
        good.is_failing = True
        check_domain(acme, asks=asks)
        acme.refresh_from_db()
        assert acme.status == "error"

    def test_a_silent_resolver_costs_few_questions(self, acme, asks, good):
        good.is_silent = True
        check_domain(acme, asks=asks)
        assert len(good.asked) <= 2 * ASKERS  # those on their way, each asked twice

    def test_a_domain_never_known_is_not_known(self, acme, asks, good):
        good.is_failing = True
        check_domain(acme, asks=asks)
        acme.refresh_from_db()
        assert acme.status == "unknown"

    def test_an_edited_record_is_a_new_version_with_its_difference(self, acme, asks, good):
        check_domain(acme, asks=asks)
        check_domain(acme, asks=asks)
        good.zones["_dmarc.acme.example"]["TXT"] = [
            "v=DMARC1; p=none; rua=mailto:dmarc@acme.example"
        ]
        check_domain(acme, asks=asks)
        record = acme.records.get(purpose="dmarc")
        assert record.observations.count() == 2
        entry = next(entry for entry in history(acme) if "_dmarc" in entry.title)
        assert [word.text for word in entry.words if word.is_added] == ["p=none;"]
        assert [word.text for word in entry.words if word.is_removed] == ["p=reject;"]

    def test_a_break_and_its_repair_are_in_the_history(self, acme, asks, good):
        check_domain(acme, asks=asks)
        kept = good.zones.pop("s1._domainkey.acme.example")
        check_domain(acme, asks=asks)
        acme.refresh_from_db()
        assert acme.status == "error"
        assert acme.broken_since_at
        good.zones["s1._domainkey.acme.example"] = kept
        check_domain(acme, asks=asks)
        acme.refresh_from_db()
        assert (acme.status, acme.broken_since_at) == ("ok", None)
        titles = [entry.title for entry in history(acme)]
        assert "DKIM s1: OK → Broken" in titles
        assert "DKIM s1: Broken → OK" in titles

    def test_a_requirement_that_is_gone_takes_its_finding_along_and_keeps_the_history(
        self, acme, asks
    ):
        check_domain(acme, asks=asks)
        acme.requirements.filter(kind="dkim_selector").delete()
        check_domain(acme, asks=asks)
        assert "dkim:s1" not in statuses(acme)
        assert not acme.records.get(purpose="dkim").is_expected
        assert acme.records.get(purpose="dkim").observations.count() == 1

    def test_a_persons_check_is_on_the_audit_trail(self, acme, asks, oncall):
        check_domain(acme, asks=asks, actor=oncall)
        assert AuditEntry.objects.get().verb == "domain.verify"


class TestAlignment:
    def test_a_foreign_return_path_and_no_key_can_not_pass(self, acme, asks, good, settings):
        settings.MAILOPS_RETURN_PATH_HOST = "bounces.other.example"
        acme.requirements.filter(kind="dkim_selector").delete()
        check_domain(acme, asks=asks)
        finding = Finding.objects.get(domain=acme, check_name="alignment")
        assert finding.status == "error"
        assert "belongs to another organization" in finding.sentence

    def test_a_selector_may_be_expected_that_mailops_signs_with(self, acme, asks):
        acme.signing_keys.create(selector="s1", algorithm="rsa", record=KEY_RECORD, state="signing")
        check_domain(acme, asks=asks)
        assert statuses(acme)["dkim:s1"] == "ok"
        assert acme.records.filter(purpose="dkim").count() == 1

    def test_dkim_alone_is_enough(self, acme, asks, good, settings):
        settings.MAILOPS_RETURN_PATH_HOST = "bounces.other.example"
        check_domain(acme, asks=asks)
        assert statuses(acme)["alignment"] == "ok"

    def test_spf_alone_warns(self, acme, asks):
        acme.requirements.filter(kind="dkim_selector").delete()
        check_domain(acme, asks=asks)
        assert statuses(acme)["alignment"] == "warning"

    def test_strict_spf_needs_the_very_same_domain(self, acme, asks, good):
        good.zones["_dmarc.acme.example"]["TXT"] = [
            "v=DMARC1; p=reject; aspf=s; rua=mailto:d@acme.example"
        ]
        acme.requirements.filter(kind="dkim_selector").delete()
        check_domain(acme, asks=asks)
        assert statuses(acme)["alignment"] == "error"

    def test_the_spf_record_of_the_return_path_is_the_one_that_counts(self, acme, asks, good):
        good.zones["bounces.acme.example"]["TXT"] = []
        acme.requirements.filter(kind="dkim_selector").delete()
        check_domain(acme, asks=asks)
        assert statuses(acme)["spf:bounces.acme.example"] == "error"
        assert statuses(acme)["alignment"] == "error"


class TestOptionalRecords:
    def test_have_versions_from_when_they_are_published_until_they_are_gone(self, acme, asks, good):
        check_domain(acme, asks=asks)
        assert not acme.records.filter(purpose="mta_sts").exists()
        good.zones["_mta-sts.acme.example"] = {"TXT": ["v=STSv1; id=1"]}
        check_domain(acme, asks=asks)
        assert acme.records.get(purpose="mta_sts").state == "matches"
        good.is_failing = True
        check_domain(acme, asks=asks)
        assert acme.records.get(purpose="mta_sts").is_expected
        good.is_failing = False
        del good.zones["_mta-sts.acme.example"]
        check_domain(acme, asks=asks)
        record = acme.records.get(purpose="mta_sts")
        assert (record.is_expected, record.observations.count()) == (False, 2)


class TestALongName:
    def test_is_checked_though_nothing_can_stand_before_it(self, asks, good):
        domain = make_domain(name=".".join(["a" * 61] * 4))
        check_domain(domain, asks=asks)
        assert statuses(domain)["dmarc"] == "error"
        assert set(domain.records.values_list("purpose", flat=True)) == {"spf", "mx", "return_path"}


class TestReturnPath:
    def test_must_have_the_mx_that_is_needed(self, acme, asks, good):
        acme.requirements.create(
            kind="return_path",
            host="bounces.acme.example",
            value="mx.mailops.example",
            needed_by="x",
        )
        check_domain(acme, asks=asks)
        assert statuses(acme)["return_path:bounces.acme.example"] == "error"
        good.zones["bounces.acme.example"]["MX"] = ["5 mx.mailops.example"]
        check_domain(acme, asks=asks)
        assert statuses(acme)["return_path:bounces.acme.example"] == "ok"
        assert acme.records.get(purpose="return_path").to_publish == "5 mx.mailops.example"
        good.zones["bounces.acme.example"]["MX"] = ["5 MX.MailOps.Example"]
        check_domain(acme, asks=asks)
        assert statuses(acme)["return_path:bounces.acme.example"] == "ok"
        assert acme.records.get(purpose="return_path").state == "matches"

    def test_a_host_that_nobody_can_publish_is_to_be_set(self, acme, asks, settings):
        settings.MAILOPS_RETURN_PATH_HOST = "bounces.mailops.localhost"
        check_domain(acme, asks=asks)
        finding = acme.findings.get(check_name__startswith="return_path")
        assert finding.status == "error"
        assert "MAILOPS_RETURN_PATH_HOST" in finding.fix
        assert not acme.records.filter(purpose="return_path").exists()

    def test_without_an_mx_is_its_own_address(self, acme, asks, good):
        del good.zones["bounces.acme.example"]["MX"]
        check_domain(acme, asks=asks)
        finding = acme.findings.get(check_name="return_path:bounces.acme.example")
        assert finding.status == "error"
        good.zones["bounces.acme.example"]["A"] = ["192.0.2.7"]
        check_domain(acme, asks=asks)
        finding.refresh_from_db()
        assert finding.status == "warning"
        assert "no MX; bounces are tried at its own address, 192.0.2.7" in finding.sentence

    def test_a_domain_that_takes_no_mail_warns(self, acme, asks, good):
        good.zones["acme.example"]["MX"] = ["0 ."]
        check_domain(acme, asks=asks)
        assert statuses(acme)["mx"] == "warning"

    @pytest.mark.parametrize("check", [check_mx, partial(check_return_path, wanted="")])
    def test_an_address_that_dns_keeps_silent_about_is_not_known(self, check):
        def silent(_, rdtype):
            return Answer(Status.TIMEOUT if rdtype == "A" else Status.NODATA)

        verdict, _ = check("acme.example", asks=silent)
        assert verdict.status == "unknown"
        assert "the address of acme.example" in verdict.sentence


class TestCheckDueDomains:
    def test_checks_what_is_due_and_nothing_else(self, good):
        make_domain(name="a.example")
        make_domain(name="b.example", next_check_at=timezone.now() - timedelta(minutes=1))
        later = make_domain(name="c.example", next_check_at=timezone.now() + timedelta(hours=1))
        assert check_due_domains(until=timezone.now() + timedelta(seconds=20)) == 2
        assert not Domain.objects.get(pk=later.pk).was_checked
        assert check_due_domains(until=timezone.now() + timedelta(seconds=20)) == 0

    def test_a_domain_that_waits_for_its_answers_keeps_no_other_waiting(self, good, monkeypatch):
        slow, quick = make_domain(name="a.example"), make_domain(name="b.example")
        was_kept, keep = Event(), checking._keep

        def ask_until_the_other_is_kept(expected, asks=resolve):
            if expected.domain == slow.name:
                assert was_kept.wait(60)
            return examine(expected, asks)

        def keep_and_tell(domain, examination):
            keep(domain, examination)
            was_kept.set()

        monkeypatch.setattr(checking, "examine", ask_until_the_other_is_kept)
        monkeypatch.setattr(checking, "_keep", keep_and_tell)
        assert check_due_domains(until=timezone.now() + timedelta(seconds=20)) == 2
        checked = [Domain.objects.get(pk=domain.pk).checked_at for domain in (quick, slow)]
        assert checked == sorted(checked)

    def test_one_that_breaks_or_goes_meanwhile_keeps_no_other_from_its_check(
        self, good, monkeypatch, caplog
    ):
        names = ["broken.example", "gone.example", "well.example"]
        broken, gone, well = (make_domain(name=name) for name in names)

        def ask_once_it_is_gone(expected, asks=resolve):
            if expected.domain == broken.name:
                raise ValueError("a record that nobody thought of")
            return examine(expected, asks)

        expectations_of = checking.expectations_of

        def expect_and_delete(domain):
            expected = expectations_of(domain)
            Domain.objects.filter(pk=gone.pk, name=domain.name).delete()
            return expected

        monkeypatch.setattr(checking, "examine", ask_once_it_is_gone)
        monkeypatch.setattr(checking, "expectations_of", expect_and_delete)
        assert check_due_domains(until=timezone.now() + timedelta(seconds=20)) == 1
        assert Domain.objects.get(pk=well.pk).was_checked
        assert not Domain.objects.get(pk=broken.pk).was_checked
        assert "broken.example could not be checked" in caplog.text

    def test_one_that_always_breaks_passes_for_well_no_longer(self, acme, asks, monkeypatch):
        check_domain(acme, asks=asks)

        def ask(expected, asks=resolve):
            raise ValueError("a record that nobody thought of")

        monkeypatch.setattr(checking, "examine", ask)
        for hour in (0, 1):
            Domain.objects.filter(pk=acme.pk).update(next_check_at=timezone.now())
            assert check_due_domains(until=timezone.now() + timedelta(seconds=20)) == 0
            unanswered = Finding.objects.unanswered(timezone.now() + timedelta(hours=2 * hour))
            assert unanswered.exists() is bool(hour)
        stale = acme.findings.get(check_name="spf")
        assert stale.status == "ok"
        assert "could not read what was answered (ValueError)" in stale.unknown_sentence

    def test_stops_when_its_time_is_up(self, good):
        make_domain()
        assert check_due_domains(until=timezone.now()) == 0


class TestSubdomain:
    def test_shares_its_organizations_return_path_whose_spf_is_checked_too(self, acme, asks, good):
        good.zones["news.acme.example"] = dict(good.zones["acme.example"])
        news = make_domain(name="news.acme.example")
        check_domain(news, asks=asks)
        assert statuses(news)["spf:bounces.acme.example"] == "ok"
        evidence = news.findings.get(check_name="alignment").evidence
        assert any("bounces.acme.example: aligned" in line for line in evidence)
        assert news.records.get(purpose="dmarc").host == "_dmarc.acme.example"


class TestVersions:
    def test_tell_who_noticed_and_bring_the_next_look_forward(self, acme, asks, good, oncall):
        check_domain(acme, asks=asks)
        good.zones["_dmarc.acme.example"]["TXT"] = ["v=DMARC1; p=none; rua=mailto:d@acme.example"]
        check_domain(acme, asks=asks, actor=oncall)
        acme.refresh_from_db()
        assert acme.next_check_at < timezone.now() + timedelta(minutes=16)
        changed = [entry for entry in history(acme) if entry.by_a_person]
        assert {entry.by_a_person for entry in changed} == {oncall.email}
        assert any("_dmarc.acme.example changed" in entry.title for entry in changed)

    def test_the_looks_grow_rarer_the_longer_nothing_changes(self, acme, asks):
        Domain.objects.filter(pk=acme.pk).update(changed_at=timezone.now() - timedelta(minutes=30))
        check_domain(acme, asks=asks)
        acme.refresh_from_db()
        wait = acme.next_check_at - timezone.now()
        assert timedelta(minutes=25) < wait < timedelta(minutes=35)

    def test_what_the_domains_own_servers_show_is_kept_beside(self, acme, asks, monkeypatch):
        host = "_dmarc.acme.example"
        differs = Difference(
            host, "TXT", ("v=DMARC1; p=reject",), {"ns1.acme.example": ("v=DMARC1; p=none",)}
        )
        real = checking.examine
        monkeypatch.setattr(
            checking, "examine",
            lambda *of: replace(real(*of), differences=(differs,), asked_authority=True),
        )  # fmt: skip
        check_domain(acme, asks=asks)
        assert acme.records.get(host=host).by_server == {"ns1.acme.example": ["v=DMARC1; p=none"]}
        assert acme.records.get(purpose="mx").servers_agree
