"""What changed, beside the numbers."""

from datetime import UTC, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.verbs import WORDS
from mailops.domains.models import DnsObservation, DnsRecord
from mailops.reports.changes import _PAGES, KIND_OF, Kind
from mailops.reports.marks import beside
from mailops.reports.periods import last_days
from tests.examples import make_signing_key
from tests.factories import (
    make_campaign,
    make_domain,
    make_incident,
    make_stream,
    make_transport,
    make_version,
)
from tests.reports.test_pages import count

pytestmark = pytest.mark.django_db


def found(**choices):
    return beside(last_days(timezone.now(), 7, UTC), choices).changes


def _a_verb_of(subject):
    """Return any act upon it that is told."""
    sort = {"mailtemplate": "template", "signingkey": "signing_key"}
    name = sort.get(subject._meta.model_name, subject._meta.model_name)
    verb = f"{name}.pause"
    return verb if verb in KIND_OF else next(one for one in KIND_OF if one.startswith(f"{name}."))


def record_of(domain):
    record, _ = DnsRecord.objects.get_or_create(
        domain=domain, purpose="spf", defaults={"host": domain.name, "rtype": "TXT"}
    )
    return record


class TestChanges:
    def test_tell_who_when_and_what_was_before(self, admin, logged_in, viewer):
        transport = make_transport(name="Relay")
        audit(
            actor=admin,
            verb="transport.change",
            subject=transport,
            before={"rate_per_minute": 100},
            after={"rate_per_minute": 5},
            reason="Asked to.",
        )
        (change,) = found()
        assert (change.kind, change.who) == (Kind.LIMITS, admin.email)
        page = logged_in(viewer).get(reverse("reports:reports")).content.decode()
        assert f'id="change-{change.key}"' in page
        assert f'"url": "#change-{change.key}"' in page
        for words in ("Asked to.", "rate per minute", ">100<", ">5<", "Transport changed: Relay"):
            assert words in page

    def test_of_routes_are_of_routing(self, admin):
        stream = make_stream()
        audit(actor=admin, verb="stream.change", subject=stream, after={"routes": ["b"], "rate_per_minute": 3})  # fmt: skip
        assert [change.kind for change in found()] == [Kind.ROUTING]

    def test_leave_out_what_moves_nothing(self, admin):
        for verb in ("transport.test", "campaign.schedule", "user.invite"):
            audit(actor=admin, verb=verb, subject=make_stream())
        assert not found()

    def test_are_of_what_is_chosen_and_what_it_hangs_on(self, admin):
        stream, other = make_stream(), make_stream()
        transport, domain = stream.routes.get().transport, stream.domain
        campaign = make_campaign(stream=stream)
        for row in (stream, transport, campaign, other):
            audit(actor=admin, verb=f"{row._meta.model_name}.pause", subject=row)
        audit(actor=admin, verb="template.publish", subject=make_version().template)
        audit(actor=None, verb="deploy.start", after={"revision": "abc"})
        assert len(found()) == 6
        assert "Deployed: abc" in {change.label for change in found()}
        assert {change.label.partition(":")[0] for change in found(stream_id=other.pk)} == {
            "Stream paused", "Deployed",
        }  # fmt: skip
        for choices in ({"transport_id": transport.pk}, {"domain_id": domain.pk}, {"stream_id": stream.pk}):  # fmt: skip
            labels = {change.label for change in found(**choices)}
            assert f"Stream paused: {stream}" in labels
            assert f"Stream paused: {other}" not in labels
            assert f"Transport paused: {transport}" in labels
        assert not any(change.kind == Kind.TEMPLATE for change in found(campaign_id=campaign.pk))

    def test_of_templates_are_of_what_the_mail_was_made_of(self, admin):
        campaign, stream, version = make_campaign(), make_stream(), make_version()
        count("accepted", 1, measure="status", stream_id=stream.pk, version_id=version.pk)
        for one in (campaign.version, version, make_version()):
            audit(actor=admin, verb="template.publish", subject=one.template)
        for chosen, used in ((campaign.stream, campaign.version), (stream, version)):
            transport = chosen.routes.get().transport
            for choices in ({"stream_id": chosen.pk}, {"transport_id": transport.pk}, {"domain_id": chosen.domain_id}):  # fmt: skip
                (change,) = found(**choices)
                assert change.label == f"Template published: {used.template}"
        assert len(found(campaign_id=campaign.pk)) == 1
        for row, column in ((make_stream(), "stream_id"), (make_transport(), "transport_id"), (make_domain(), "domain_id")):  # fmt: skip
            assert not found(**{column: row.pk})

    def test_lead_to_pages_that_are_there(self, admin, logged_in):
        key = make_signing_key()
        gone = make_stream()
        subjects = (make_transport(), make_stream(), gone, key.domain, key, make_campaign(), make_version().template)  # fmt: skip
        for subject in subjects:
            audit(actor=admin, verb=_a_verb_of(subject), subject=subject)
        assert {type(subject)._meta.label for subject in subjects} == set(_PAGES)
        for hours in (2, 1):
            at = timezone.now() - timedelta(hours=hours)
            DnsObservation.objects.create(
                record=record_of(key.domain), values=[str(hours)], first_seen_at=at, last_seen_at=at
            )
        make_incident()
        gone.routes.all().delete()
        gone.delete()
        told = found()
        client = logged_in(admin)
        without = [change.label for change in told if not change.url]
        assert without == [f"Stream paused: {gone}"]
        for change in told:
            for url in filter(None, (change.url, change.trail_url)):
                assert client.get(url).status_code == 200, url

    def test_of_a_record_show_what_dns_showed_before(self):
        domain = make_domain(name="example.com")
        record = DnsRecord.objects.create(domain=domain, purpose="spf", host="example.com", rtype="TXT")  # fmt: skip
        now = timezone.now()
        for days, values in ((3, ["v=spf1 -all"]), (1, ["v=spf1 +all"])):
            at = now - timedelta(days=days)
            DnsObservation.objects.create(record=record, values=values, first_seen_at=at, last_seen_at=at)  # fmt: skip
        (change,) = found(domain_id=domain.pk)
        assert change.label == "example.com: SPF record changed"
        (field,) = change.fields
        assert (field.before, field.after) == ("v=spf1 -all", "v=spf1 +all")
        assert not found(domain_id=make_domain(name="other.example").pk)

    def test_have_words_for_every_verb(self):
        assert set(KIND_OF) <= set(WORDS)
