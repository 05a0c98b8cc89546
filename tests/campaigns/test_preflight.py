from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.audiences.curating import change_contact
from mailops.audiences.models import Contact
from mailops.campaigns import preflight, rehearsing
from mailops.campaigns.models import Campaign, Preflight
from mailops.campaigns.preflight import TooLate, latest_preflight, start_preflight, why_stale
from mailops.lib.chunks import MAX_FAILURES
from mailops.suppressions.models import Suppression
from tests.factories import make_audience, make_campaign, make_stream, make_version

pytestmark = pytest.mark.django_db


def rehearse(campaign, **options) -> Preflight:
    begun = start_preflight(campaign=campaign, actor=None)
    while rehearsing.check_chunk(preflight_id=begun.pk, **options):
        pass
    begun.refresh_from_db()
    return begun


def numbers(found: Preflight) -> tuple[int, ...]:
    return (found.members, found.sendable, found.suppressed, found.invalid, found.unrenderable)


def known(audience, **attributes):
    Contact.objects.filter(memberships__audience=audience).update(attributes=attributes)
    return audience


class TestNumbers:
    def test_each_member_is_counted_once(self):
        audience = make_audience("a@example.com", "b@example.com", "c@example.com")
        Contact.objects.filter(address="c@example.com").update(address_key="ü@example.com")
        Suppression.objects.create(
            address="b@example.com", address_key="b@example.com", reason="unsubscribe"
        )
        found = rehearse(make_campaign(audience=known(audience, first_name="Ada")))
        assert numbers(found) == (3, 1, 1, 1, 0)
        assert found.is_completed

    def test_a_suppression_of_another_stream_is_none(self):
        campaign = make_campaign(audience=known(make_audience("a@example.com"), first_name="A"))
        Suppression.objects.create(
            address="a@example.com",
            address_key="a@example.com",
            reason="complaint",
            stream=make_stream(),
        )
        assert numbers(rehearse(campaign)) == (1, 1, 0, 0, 0)

    def test_small_chunks_find_the_same(self):
        audience = make_audience(*(f"p{n}@example.com" for n in range(7)))
        found = rehearse(make_campaign(audience=audience), members=2)
        assert numbers(found) == (7, 7, 0, 0, 0)
        assert found.missing["first_name"]["members"] == 7

    def test_a_slow_template_ends_the_chunk_and_not_the_rehearsal(self, monkeypatch):
        monkeypatch.setattr(rehearsing, "CHUNK_SECONDS", -1)
        audience = make_audience("a@example.com", "b@example.com", "c@example.com")
        assert numbers(rehearse(make_campaign(audience=audience))) == (3, 3, 0, 0, 0)

    def test_an_empty_audience_is_a_blocker(self):
        found = rehearse(make_campaign(audience=make_audience()))
        assert found.is_completed
        assert "The audience is empty" in next(iter(preflight.blockers(found).values()))

    def test_people_who_come_later_are_not_in_it(self):
        campaign = make_campaign(audience=make_audience("a@example.com"))
        begun = start_preflight(campaign=campaign, actor=None)
        contact = Contact.objects.create(address="z@example.com", address_key="z@example.com")
        campaign.audience.memberships.create(contact=contact)
        while rehearsing.check_chunk(preflight_id=begun.pk):
            pass
        assert latest_preflight(campaign).members == 1


class TestErrors:
    def test_tells_each_error_with_how_many_and_whom(self):
        version = make_version(html="{{ amount | divided_by: share }}", variables=["amount"])
        audience = known(make_audience("a@example.com", "b@example.com"), amount=1, share=0)
        found = rehearse(make_campaign(audience=audience, version=version))
        ((sentence, note),) = found.errors.items()
        assert "HTML" in sentence
        assert note == {"members": 2, "examples": ["a@example.com", "b@example.com"]}
        assert found.unrenderable == 2
        assert any("can't be made" in blocker for blocker in preflight.blockers(found).values())

    def test_a_version_that_does_not_compile_fails_for_everyone(self):
        version = make_version(html="{% if %}")
        found = rehearse(make_campaign(audience=make_audience("a@example.com"), version=version))
        assert numbers(found) == (1, 0, 0, 0, 1)

    def test_an_endless_loop_is_an_error_and_not_a_hang(self):
        version = make_version(
            html="{% for a in (1..9999) %}{% for b in (1..9999) %}x{% endfor %}{% endfor %}"
        )
        found = rehearse(make_campaign(audience=make_audience("a@example.com"), version=version))
        assert found.unrenderable == 1

    def test_counts_who_lacks_a_variable(self):
        audience = make_audience("a@example.com", "b@example.com")
        Contact.objects.filter(address="a@example.com").update(attributes={"first_name": "Ada"})
        version = make_version(html="{{ first_name }} {{ unsubscribe_url }} {{ sender.name }}")
        found = rehearse(make_campaign(audience=audience, version=version))
        assert found.missing == {"first_name": {"members": 1, "examples": ["b@example.com"]}}
        assert any("first_name" in warning for warning in preflight.warnings(found))

    @pytest.mark.parametrize(
        ("html", "missing"),
        [
            ("{{ first_name | default: 'there' }}", set()),
            ("{{ first_name | upcase | default: 'there' }}", set()),
            ("{% if first_name %}Dear {{ first_name }}{% else %}Hello{% endif %}", set()),
            ("{% case first_name %}{% when 'Ada' %}Dear {{ first_name }}{% endcase %}", set()),
            ("{% assign name = first_name | default: 'you' %}{{ name }}", set()),
            ("{% for order in orders %}{{ order.name }}{% endfor %}", set()),
            ("{{ first_name | default: 'there' }}, {{ first_name }}", {"first_name"}),
            ("{% if first_name %}Dear{% endif %} {{ first_name }}", {"first_name"}),
            ("{% if last_name %}{{ first_name }}{% endif %}", {"first_name"}),
            ("{{ first_name | default: nickname }}", {"first_name and nickname"}),
            (
                "{{ first_name | default: nickname, allow_false: true }}",
                {"first_name and nickname"},
            ),
            ("{{ first_name | default: company }}", set()),
            ("{{ first_name | default: sender.name }}", set()),
            ("{{ first_name | default: nickname | default: 'there' }}", set()),
            ("{% if first_name or company %}Hi {{ first_name }}{% endif %}", {"first_name"}),
            ("{% if company or nickname %}{{ first_name }}{% endif %}", {"first_name"}),
            (
                "{% if first_name or nickname %}{{ nickname | default: first_name }}{% endif %}",
                set(),
            ),
            ("{% if first_name == 'A' or first_name == 'B' %}{{ first_name }}{% endif %}", set()),
            ("{% if first_name or true %}{{ first_name }}{% endif %}", {"first_name"}),
            ("{% if true or false %}{{ first_name }}{% endif %}", {"first_name"}),
            ("{% if first_name and company %}{{ first_name }}{% endif %}", set()),
            ("{% assign name = nickname %}{{ first_name | default: name }}", {"nickname"}),
            ("{{ first_name | append: '!' }} {{ shop['city'] }}", {"first_name", "shop"}),
        ],
    )
    def test_a_place_with_a_fallback_lacks_nothing(self, html, missing):
        version = make_version(subject="News", html=html, text="", variables=["first_name"])
        audience = known(make_audience("a@example.com"), company="Acme")
        found = rehearse(make_campaign(audience=audience, version=version))
        assert set(found.missing) == missing
        assert any("places stay empty" in one for one in preflight.warnings(found)) is bool(missing)

    def test_asks_for_what_each_language_lacks(self):
        words = {"de": {"subject": "Neues", "html": "Hallo {{ vorname }}", "text": ""}}
        version = make_version(subject="News", html="Hello", text="", variants=words)
        found = rehearse(make_campaign(audience=make_audience("a@example.com"), version=version))
        assert set(found.missing) == {"vorname"}

    def test_a_place_with_two_names_lacks_something_only_where_both_are_missing(self):
        audience = make_audience("a@example.com", "b@example.com", "c@example.com")
        for key, name in [("a", "first_name"), ("b", "last_name")]:
            address = f"{key}@example.com"
            Contact.objects.filter(address=address).update(attributes={name: "Ada"})
        html = "{{ first_name | default: last_name }}"
        version = make_version(subject="News", html=html, text="", variables=["first_name"])
        found = rehearse(make_campaign(audience=audience, version=version))
        note = {"members": 1, "examples": ["c@example.com"]}
        assert found.missing == {"first_name and last_name": note}

    def test_keeps_a_bounded_number_of_kinds(self):
        notes = {}
        for number in range(100):
            rehearsing._note(notes, f"error {number}", "a@example.com")
        assert len(notes) == rehearsing.MAX_KINDS + 1
        assert notes["Others"]["members"] == 100 - rehearsing.MAX_KINDS

    def test_a_broken_domain_is_a_blocker(self):
        campaign = make_campaign(audience=known(make_audience("a@example.com"), first_name="A"))
        found = rehearse(campaign)
        assert preflight.blockers(found) == {}
        found.identity.domain.status = "error"
        assert "fails authentication" in next(iter(preflight.blockers(found).values()))


class TestStale:
    def test_holds_until_something_changes(self, operator):
        campaign = make_campaign(audience=make_audience("a@example.com"))
        found = rehearse(campaign)
        assert why_stale(found, campaign) == ""
        contact = Contact.objects.get()
        change_contact(
            contact=contact,
            attributes={"first_name": "Ada"},
            time_zone="",
            revision=contact.revision,
            actor=operator,
        )
        campaign.audience.refresh_from_db()
        assert "People in the audience" in why_stale(found, campaign)

    def test_a_new_version_makes_it_stale(self):
        campaign = make_campaign(audience=make_audience("a@example.com"))
        found = rehearse(campaign)
        campaign.version = make_version()
        assert "version" in why_stale(found, campaign)

    def test_a_day_makes_it_stale(self):
        campaign = make_campaign(audience=make_audience("a@example.com"))
        found = rehearse(campaign)
        found.finished_at = timezone.now() - timedelta(hours=25)
        assert "a day old" in why_stale(found, campaign)

    @pytest.mark.parametrize("state", ["draft", "scheduled"])
    def test_is_no_work_for_anybody_where_it_is_rehearsed_again_at_its_time(
        self, viewer, logged_in, state
    ):
        campaign = make_campaign(audience=make_audience("a@example.com"))
        rehearse(campaign)
        Preflight.objects.update(finished_at=timezone.now() - timedelta(hours=25))
        Campaign.objects.update(state=state, scheduled_at=timezone.now() + timedelta(days=1))
        page = logged_in(viewer).get(reverse("campaigns:preflight", args=[campaign.pk])).text
        assert "a day old" in page
        assert ("right before its start" in page) is (state == "scheduled")


class TestBeginning:
    def test_pressed_twice_begins_once(self):
        campaign = make_campaign(audience=make_audience("a@example.com"))
        first = start_preflight(campaign=campaign, actor=None)
        assert start_preflight(campaign=campaign, actor=None) == first

    def test_a_new_one_takes_the_place_of_the_old(self):
        campaign = make_campaign(audience=make_audience("a@example.com"))
        rehearse(campaign)
        rehearse(campaign)
        assert campaign.preflights.count() == 1

    @pytest.mark.parametrize("state", ["running", "paused", "completed", "canceled"])
    def test_is_refused_once_the_campaign_has_started(self, state):
        with pytest.raises(TooLate):
            start_preflight(
                campaign=make_campaign(state=state, started_at=timezone.now()), actor=None
            )

    def test_fails_with_a_sentence_after_a_few_failures(self):
        begun = start_preflight(campaign=make_campaign(), actor=None)
        for _ in range(MAX_FAILURES):
            rehearsing.note_failure(preflight_id=begun.pk, error=RuntimeError("boom"))
        begun.refresh_from_db()
        assert begun.has_failed
        assert begun.detail == "RuntimeError: boom"
