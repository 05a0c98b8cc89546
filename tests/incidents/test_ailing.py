"""What ails beside the mail itself wakes somebody: records that broke, silent name servers, unread mailboxes."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.domains.checking import check_domain
from mailops.domains.models import Finding
from mailops.feedback.mailboxes import change_mailbox
from mailops.feedback.models import Mailbox
from mailops.incidents.ailing import broken_domains
from mailops.incidents.detection import detect
from mailops.incidents.models import Incident, Level, Notice, NotificationChannel
from mailops.reports.attention import matters
from mailops.reports.matter import SHOWN
from mailops.transports.models import Stream
from tests.domains.zones import make_acme
from tests.factories import make_campaign, make_domain, make_stream

pytestmark = pytest.mark.django_db
SELECTOR = "s1._domainkey.acme.example"


@pytest.fixture
def acme(good):
    return make_acme()


@pytest.fixture
def letters(acme):
    return make_stream(name="Letters", domain=acme, kind="bulk")


@pytest.fixture
def mailbox(db):
    return Mailbox.objects.create(name="Returns", host="imap.example.com", username="returns")


def silent_for(hours):
    """Have the name servers been silent for so long."""
    Finding.objects.exclude(unknown_since_at=None).update(
        unknown_since_at=timezone.now() - timedelta(hours=hours)
    )


def break_one_more():
    """Have a domain that sends lose its SPF record, and its name servers be silent about DMARC."""
    domain = make_domain()
    make_stream(domain=domain, kind="bulk")
    long_ago = timezone.now() - timedelta(hours=2)
    times = {"since_at": long_ago, "checked_at": long_ago}
    domain.findings.create(check_name="spf", status="error", **times)
    domain.finding_changes.create(check_name="spf", before="ok", after="error")
    domain.findings.create(check_name="dmarc", status="ok", unknown_since_at=long_ago, **times)


def questions():
    with CaptureQueriesContext(connection) as asked:
        detect()
    return len(asked)


def failing_for(mailbox, minutes):
    mailbox.record_failure("auth_failed", "NO [AUTHENTICATIONFAILED] bad password")
    Mailbox.objects.update(failing_since_at=timezone.now() - timedelta(minutes=minutes))


class TestRecords:
    def test_a_key_that_vanishes_opens_one_incident_and_is_told_until_it_is_back(
        self,
        acme,
        letters,
        asks,
        good,
    ):
        channel = NotificationChannel.objects.create(name="On call", kind="webhook")
        check_domain(acme, asks=asks)
        assert detect() == 0
        key = good.zones.pop(SELECTOR)
        check_domain(acme, asks=asks)
        assert [detect(), detect()] == [1, 1]
        incident = Incident.objects.get()
        assert (str(incident), incident.level) == ("Records broken: acme.example", Level.ACT)
        assert incident.subject() == acme
        assert incident.stoppable() is None
        assert "DKIM s1" in incident.sentence
        assert "Bulk mail from it stops on " in incident.sentence
        assert incident.sentence.endswith(" unless it is mended. Its streams: Letters.")
        assert SELECTOR in incident.evidence["technical"]
        assert {change["who"] for change in incident.evidence["changes"]} == {"DNS"}
        assert Notice.objects.get(channel=channel).occasion == "opened"
        good.zones[SELECTOR] = key
        check_domain(acme, asks=asks)
        detect()
        incident.refresh_from_db()
        assert incident.calm_since_at is not None

    def test_one_that_comes_and_goes_is_one_incident(self, acme, letters, asks, good):
        check_domain(acme, asks=asks)
        key = good.zones.pop(SELECTOR)
        check_domain(acme, asks=asks)
        detect()
        good.zones[SELECTOR] = key
        check_domain(acme, asks=asks)
        detect()
        Incident.objects.update(calm_since_at=timezone.now() - timedelta(minutes=20))
        detect()
        del good.zones[SELECTOR]
        check_domain(acme, asks=asks)
        detect()
        incident = Incident.objects.get()
        assert (incident.is_open, incident.calm_since_at) == (True, None)

    def test_another_that_breaks_comes_to_the_same_incident(self, acme, letters, asks, good):
        check_domain(acme, asks=asks)
        del good.zones[SELECTOR]
        check_domain(acme, asks=asks)
        detect()
        del good.zones["acme.example"]
        check_domain(acme, asks=asks)
        Incident.objects.update(last_seen_at=timezone.now() - timedelta(minutes=2))
        detect()
        incident = Incident.objects.get()
        assert ", SPF" in incident.sentence
        assert "\n\nSPF: " in incident.evidence["technical"]

    def test_names_the_cause_before_what_follows_from_it(self, acme, letters, asks, good):
        check_domain(acme, asks=asks)
        del good.zones[SELECTOR]
        check_domain(acme, asks=asks)
        detect()
        incident = Incident.objects.get()
        assert "broke: DKIM s1, Rules for bulk senders." in incident.sentence
        assert incident.evidence["technical"].startswith("DKIM s1: ")
        worst = [one.check_name for one in acme.findings.worst_first() if one.is_broken]
        assert worst == ["dkim:s1", "bulk_senders"]

    def test_a_domain_whose_streams_moved_is_over(self, letters, asks, good, client, operator):
        acme = letters.domain
        check_domain(acme, asks=asks)
        del good.zones[SELECTOR]
        check_domain(acme, asks=asks)
        detect()
        letters.domain = make_domain()
        letters.save()
        detect()
        assert Incident.objects.get().calm_since_at is not None
        acme.delete()
        client.force_login(operator)
        page = client.get(reverse("incidents:detail", args=[Incident.objects.get().pk]))
        assert "(deleted)" in page.text
        assert reverse("signatures:panel") not in page.text

    def test_what_is_needed_anew_and_not_there_wakes_nobody(self, acme, letters, asks, good):
        check_domain(acme, asks=asks)
        del good.zones[SELECTOR]
        check_domain(acme, asks=asks)
        selector = acme.requirements.get(kind="dkim_selector")
        selector.delete()
        check_domain(acme, asks=asks)
        assert not acme.findings.filter(check_name="dkim:s1").exists()
        selector.save()
        check_domain(acme, asks=asks)
        assert acme.findings.get(check_name="dkim:s1").status == "error"
        sentences = " ".join(one.sentence for one in broken_domains())
        assert "DKIM s1" not in sentences

    def test_is_on_the_pages_of_the_domain_and_of_its_streams(self, client, viewer):
        break_one_more()
        stream = Stream.objects.get()
        detect()
        client.force_login(viewer)
        for kind, pk in (("domain", stream.domain_id), ("stream", stream.pk)):
            panel = client.get(reverse(f"incidents:{kind}-panel", args=[pk])).text
            assert f"Records broken: {stream.domain}" in panel
        break_one_more()
        other = Stream.objects.exclude(pk=stream.pk).get()
        assert (
            "Records broken"
            not in client.get(reverse("incidents:stream-panel", args=[other.pk])).text
        )

    def test_what_was_never_set_up_wakes_nobody(self, acme, letters, asks, good):
        del good.zones[SELECTOR]
        check_domain(acme, asks=asks)
        acme.refresh_from_db()
        assert acme.is_broken
        assert detect() == 0

    def test_a_domain_that_sends_nothing_wakes_nobody(self, acme, asks, good):
        check_domain(acme, asks=asks)
        del good.zones[SELECTOR]
        check_domain(acme, asks=asks)
        assert detect() == 0

    def test_what_was_never_set_up_is_not_said_to_have_broken(self, acme, letters, asks, good):
        del good.zones[SELECTOR]
        check_domain(acme, asks=asks)
        del good.zones["acme.example"]
        check_domain(acme, asks=asks)
        detect()
        sentence = Incident.objects.get().sentence
        assert "acme.example was well and broke: " in sentence
        assert "SPF" in sentence
        assert "DKIM s1" not in sentence


class TestLists:
    def test_that_name_a_domain_newly_are_an_incident_of_their_own(
        self, acme, letters, asks, good, settings
    ):
        settings.MAILOPS_DOMAIN_DNSBLS = ["dbl.example"]
        check_domain(acme, asks=asks)
        assert detect() == 0
        good.zones["acme.example.dbl.example"] = {"A": ["127.0.1.2"], "TXT": ["see the list"]}
        check_domain(acme, asks=asks)
        assert detect() == 1
        incident = Incident.objects.get()
        assert str(incident) == "On lists of spam senders: acme.example"
        assert incident.level == Level.ACT
        assert incident.sentence.startswith("acme.example is on the list dbl.example: receivers")
        assert "ask for removal there." in incident.to_do
        assert incident.sentence.endswith("Its streams: Letters.")
        assert "see the list" in incident.evidence["technical"]
        title = "Domain acme.example is on lists of spam senders"
        assert title in [one.title for one in matters()]
        del good.zones["acme.example.dbl.example"]
        check_domain(acme, asks=asks)
        detect()
        incident.refresh_from_db()
        assert incident.is_calm

    def test_that_named_it_from_the_beginning_wake_nobody(
        self, acme, letters, asks, good, settings
    ):
        settings.MAILOPS_DOMAIN_DNSBLS = ["dbl.example"]
        good.zones["acme.example.dbl.example"] = {"A": ["127.0.1.2"]}
        check_domain(acme, asks=asks)
        assert detect() == 0


class TestSilentNameServers:
    def test_are_told_of_after_an_hour(self, acme, letters, asks, good):
        check_domain(acme, asks=asks)
        good.is_silent = True
        check_domain(acme, asks=asks)
        assert detect() == 0
        silent_for(hours=2)
        assert detect() == 1
        incident = Incident.objects.get()
        assert (str(incident), incident.level) == ("Name servers silent: acme.example", Level.WARN)
        assert "DKIM s1" in incident.sentence
        assert incident.evidence["technical"]

    def test_that_are_many_are_counted_on_the_overview(self, db):
        for _ in range(SHOWN + 2):
            break_one_more()
        titles = [one.title for one in matters()]
        assert "2 more domains of which DNS tells nothing" in titles

    def test_are_on_the_overview(self, acme, asks, good):
        check_domain(acme, asks=asks)
        good.is_silent = True
        check_domain(acme, asks=asks)
        silent_for(hours=2)
        (matter,) = [one for one in matters() if "DNS tells nothing of acme.example" in one.title]
        assert timezone.now() - matter.since > timedelta(hours=1)


class TestMailboxes:
    def test_a_mend_is_none_before_it_was_read(self, mailbox):
        failing_for(mailbox, 11)
        detect()
        mailbox.refresh_from_db()
        change_mailbox(mailbox=mailbox, given={"port": 994}, password=None, actor=None)
        detect()
        assert Incident.objects.get().calm_since_at is None
        mailbox.refresh_from_db()
        assert mailbox.due_at is None
        mailbox.record_failure("refused", "")
        detect()
        assert Incident.objects.get().calm_since_at is None

    def test_one_that_is_switched_off_is_over_and_begins_anew(self, mailbox):
        failing_for(mailbox, 11)
        detect()
        mailbox.refresh_from_db()
        for is_enabled in (False, True):
            given = {"is_enabled": is_enabled}
            change_mailbox(mailbox=mailbox, given=given, password=None, actor=None)
            detect()
            assert Incident.objects.get().calm_since_at is not None

    def test_that_cannot_be_read_for_a_while_are_told_of(self, mailbox):
        failing_for(mailbox, 11)
        assert detect() == 1
        incident = Incident.objects.get()
        assert (str(incident), incident.level) == ("Can't be read: Returns", Level.ACT)
        assert "The server refused the log-in." in incident.sentence
        assert "bounces in it are not known here" in incident.sentence
        mailbox.refresh_from_db()  # it opened minutes after the trouble began
        assert f"since {mailbox.failing_since_at:%d %b at %H:%M} UTC." in incident.sentence
        assert "AUTHENTICATIONFAILED" in incident.evidence["technical"]
        mailbox.refresh_from_db()
        mailbox.record_reading(is_done=True, fault=None)
        detect()
        incident.refresh_from_db()
        assert incident.calm_since_at is not None

    def test_are_no_matter_of_what_domains_publish(self, mailbox):
        break_one_more()
        failing_for(mailbox, 11)
        detect()
        changes = {
            one.subject_kind: [change["who"] for change in one.evidence["changes"]]
            for one in Incident.objects.exclude(threshold__measure="unanswered")
        }
        assert changes == {"domain": ["DNS"], "mailbox": []}

    def test_tell_what_may_have_changed_how_they_are_read(self, mailbox, admin):
        for verb, subject in (("mailbox.change", mailbox), ("campaign.launch", make_campaign())):
            audit(actor=admin, verb=verb, subject=subject)
        failing_for(mailbox, 11)
        detect()
        changes = Incident.objects.get().evidence["changes"]
        assert [change["of"] for change in changes] == ["Returns"]

    def test_that_were_away_for_a_moment_or_are_off_wake_nobody(self, mailbox):
        failing_for(mailbox, 9)
        assert detect() == 0
        failing_for(mailbox, 11)
        Mailbox.objects.update(is_enabled=False)
        assert detect() == 0

    def test_that_hold_mails_which_were_left_are_unread_only_since_a_reading_failed(self, mailbox):
        mailbox.record_reading(is_done=True, fault=("refused", "NO [LIMIT]"))
        Mailbox.objects.update(failing_since_at=timezone.now() - timedelta(days=2))
        mailbox.refresh_from_db()
        mailbox.record_failure("unreachable", "Connection refused")
        assert detect() == 0
        mailbox.refresh_from_db()
        failing_for(mailbox, 11)
        assert detect() == 1


def test_many_domains_are_looked_at_by_no_more_questions_than_one(db):
    break_one_more()
    detect()
    before = questions()
    for _ in range(3):
        break_one_more()
    detect()
    assert Incident.objects.count() == 8
    assert questions() == before


@pytest.mark.parametrize("about", ["acme", "mailbox"])
def test_their_pages_lead_to_what_they_are_about(about, request, client, operator, good):
    subject = request.getfixturevalue(about)
    if about == "acme":
        asks_it = request.getfixturevalue("asks")
        request.getfixturevalue("letters")
        check_domain(subject, asks=asks_it)
        del good.zones[SELECTOR]
        check_domain(subject, asks=asks_it)
    else:
        failing_for(subject, 11)
    detect()
    client.force_login(operator)
    page = client.get(reverse("incidents:detail", args=[Incident.objects.get().pk]))
    assert page.status_code == 200
    assert f'href="{subject_path(subject)}"' in page.content.decode()
    assert "Pause" not in page.content.decode()
    kind = "mailbox" if about == "mailbox" else "domain"
    for address in (
        reverse("incidents:attention"),
        reverse("incidents:list", query={"subject": kind}),
        reverse("incidents:export", query={"subject": kind}),
    ):
        assert str(subject) in b"".join(client.get(address)).decode()
    other = reverse("incidents:list", query={"subject": "stream"})
    assert str(subject) not in client.get(other).text


def subject_path(subject):
    name = "feedback:mailbox" if isinstance(subject, Mailbox) else "domains:detail"
    return reverse(name, args=[subject.pk])
