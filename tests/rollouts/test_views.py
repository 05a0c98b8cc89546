import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError
from django.urls import reverse
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.rollouts.models import Checklist, ChecklistItem, Evidence, Override
from mailops.rollouts.probing import checklists_of, probe
from mailops.rollouts.tasks import make_checklists, settle_checklists
from mailops.transports.models import PauseCause, Stream
from tests.factories import make_audience, make_campaign, make_domain, make_stream
from tests.rollouts.test_launching import (
    campaign,  # noqa: F401 - fixture
    proven,  # noqa: F401 - fixture
    rehearse,
    rehearsed,  # noqa: F401 - fixture
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def plain(db):
    """A stream whose probes are not run."""
    stream = make_stream(name="Letters")
    checklists_of(stream)
    return stream


@pytest.fixture
def signable(plain):
    return ChecklistItem.objects.get(
        checklist__stream=plain, checklist__plan="production", number=7
    )


class TestAttention:
    @pytest.fixture
    def lacking(self, plain):
        make_campaign(stream=plain, state="running")
        ChecklistItem.objects.filter(checklist__plan="production", number__lt=7).update(
            state="holds"
        )

    def test_names_what_does_not_hold_of_streams_that_send(self, logged_in, viewer, lacking):
        page = logged_in(viewer).get("/rollouts/attention/").content.decode()
        assert "Dark mode and clients were checked" in page
        assert "SPF, DKIM and DMARC pass" not in page

    def test_counts_what_it_has_no_room_for(self, logged_in, viewer, plain):
        make_campaign(stream=plain, state="running")
        assert "3 more" in logged_in(viewer).get("/rollouts/attention/").content.decode()

    def test_leaves_streams_that_send_nothing_alone(self, logged_in, viewer, plain):
        page = logged_in(viewer).get("/rollouts/attention/").content.decode()
        assert "No stream has a campaign" in page
        assert "Dark mode" not in page

    def test_is_a_fragment_of_the_overview(self, logged_in, viewer, lacking):
        assert "/rollouts/attention/" in logged_in(viewer).get("/").content.decode()
        headers = {"HX-Request": "true"}
        part = logged_in(viewer).get("/rollouts/attention/", headers=headers).content.decode()
        assert part.strip().startswith('<div id="lacking"')

    def test_asks_the_database_a_fixed_number_of_times(
        self, logged_in, viewer, lacking, django_assert_max_num_queries
    ):
        client = logged_in(viewer)
        with django_assert_max_num_queries(6):
            client.get("/rollouts/attention/")


class TestList:
    def test_shows_every_stream_with_how_much_holds(self, logged_in, viewer, plain):
        page = logged_in(viewer).get("/rollouts/").content.decode()
        assert "Letters" in page
        assert "0 of 8" in page

    def test_is_empty_without_streams(self, logged_in, viewer):
        assert "No streams yet" in logged_in(viewer).get("/rollouts/").content.decode()

    def test_an_empty_page_leads_to_the_first_stream(self, logged_in, admin, viewer):
        assert "Add a stream" in logged_in(admin).get("/rollouts/").content.decode()
        assert "Add a stream" not in logged_in(viewer).get("/rollouts/").content.decode()

    def test_asks_the_database_a_fixed_number_of_times(
        self, logged_in, viewer, django_assert_max_num_queries
    ):
        for _ in range(12):
            checklists_of(make_stream())
        client = logged_in(viewer)
        with django_assert_max_num_queries(9):
            client.get("/rollouts/")


class TestDetail:
    def test_shows_each_item_with_what_proves_it(self, logged_in, viewer, plain):
        page = logged_in(viewer).get(f"/rollouts/streams/{plain.pk}/").content.decode()
        assert page.count("Not proven yet.") >= 6
        assert "/sign/" not in page
        assert "/probe/" not in page
        assert "Open each version in use" in page

    def test_tells_in_the_viewers_zone_when_items_changed(self, logged_in, viewer, plain):
        viewer.time_zone = "Asia/Tokyo"
        viewer.save()
        checklist = checklists_of(plain)[0]
        at = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
        checklist.changes.create(at=at, holding=3, total=8, sentence="One came to hold")
        page = logged_in(viewer).get(f"/rollouts/streams/{plain.pk}/")
        assert page.context["chart"]["zone"] == "Asia/Tokyo"
        assert "21 Nov 2026, 07:30" in page.text

    def test_the_plan_is_a_second_list(self, logged_in, viewer, plain):
        page = logged_in(viewer).get(f"/rollouts/streams/{plain.pk}/?list=two_weeks")
        assert "Week 2" in page.content.decode()

    def test_a_list_that_is_none_is_404(self, logged_in, viewer, plain):
        assert logged_in(viewer).get(f"/rollouts/streams/{plain.pk}/?list=x").status_code == 404

    def test_asks_the_database_a_fixed_number_of_times(
        self, logged_in, viewer, plain, django_assert_max_num_queries
    ):
        client = logged_in(viewer)
        with django_assert_max_num_queries(14):
            client.get(f"/rollouts/streams/{plain.pk}/")


class TestNew:
    """A stream whose lists nobody made yet."""

    def test_its_page_says_that_they_are_being_made(self, logged_in, viewer):
        client, stream = logged_in(viewer), make_stream()
        assert "are being made" in client.get(f"/rollouts/streams/{stream.pk}/").text
        assert "are being made" in client.get(f"/rollouts/domains/{stream.domain_id}/panel/").text
        make_checklists()
        assert "Not proven yet." in client.get(f"/rollouts/streams/{stream.pk}/").text

    def test_looking_makes_nothing(self, logged_in, operator, rehearsed):  # noqa: F811
        client, run = logged_in(operator), rehearsed
        pages = ["", f"streams/{run.stream_id}/", f"campaigns/{run.pk}/panel/"]
        for page in pages:
            assert client.get(f"/rollouts/{page}").status_code == 200
        assert not Checklist.objects.exists()


class TestSettling:
    def test_what_expired_since_it_was_probed_holds_no_more(self, stream):
        checklist = checklists_of(stream)[0]
        probe(checklist)
        Evidence.objects.update(expires_at=timezone.now())
        settle_checklists()
        item = checklist.items.get(number=1)
        assert (item.state, item.sentence) == ("stale", "The proof is too old.")

    def test_what_a_probe_said_of_an_item_stays(self, plain):
        ChecklistItem.objects.update(sentence="No name server answered.")
        settle_checklists()
        assert set(ChecklistItem.objects.values_list("sentence", flat=True)) == {
            "No name server answered."
        }


class TestProbe:
    def test_probes_now(self, logged_in, oncall, stream):
        checklist = checklists_of(stream)[0]
        response = logged_in(oncall).post(
            f"/rollouts/checklists/{checklist.pk}/probe/", follow=True
        )
        page = response.content.decode()
        assert "items hold" in page
        assert 'data-chart="status"' in page
        assert Checklist.objects.get(pk=checklist.pk).probed_at

    def test_is_not_for_viewers(self, logged_in, viewer, plain):
        checklist = checklists_of(plain)[0]
        response = logged_in(viewer).post(f"/rollouts/checklists/{checklist.pk}/probe/")
        assert response.status_code == 403


class TestSign:
    def test_a_signature_is_kept_with_its_note(self, logged_in, operator, signable, plain):
        seen = make_campaign(stream=plain).version_id
        data = {"note": "Looked at it in Outlook, dark.", "days": "30", "seen": f"{seen} "}
        client = logged_in(operator)
        client.post(f"/rollouts/items/{signable.pk}/sign/", data)
        page = client.get(f"/rollouts/items/{signable.pk}/").content.decode()
        assert "Looked at it in Outlook, dark." in page
        assert "Good until" in page

    @pytest.mark.parametrize(
        "data", [{"note": "ok", "days": "30"}, {"note": "Long enough.", "days": "9999"}, {}]
    )
    def test_needs_a_note_and_an_end(self, logged_in, operator, signable, data):
        response = logged_in(operator).post(f"/rollouts/items/{signable.pk}/sign/", data)
        assert response.status_code == 422
        assert not Evidence.objects.exists()

    def test_is_for_the_versions_that_the_page_showed(self, logged_in, operator, signable, plain):
        shown = make_campaign(stream=plain).version
        client, address = logged_in(operator), f"/rollouts/items/{signable.pk}/sign/"
        data = {"note": "Looked at it in Outlook, dark.", "days": "30"}
        assert f'name="seen" value="{shown.pk} "' in client.get(address).text
        other = make_campaign(stream=plain).version
        refused = client.post(address, {**data, "seen": f"{shown.pk} "})
        assert refused.status_code == 422
        assert "another version came into use" in refused.text
        assert data["note"] in refused.text
        assert {one.pk for one in refused.context["versions"]} == {shown.pk, other.pk}
        assert not Evidence.objects.exists()
        client.post(address, {**data, "seen": f"{other.pk} {shown.pk} "})
        assert Evidence.objects.get().versions == [shown.pk, other.pk]

    def test_what_is_refuted_is_good_for_no_time(self, logged_in, viewer, signable):
        later = timezone.now() + timedelta(days=1)
        signable.evidence.create(is_ok=False, sentence="No.", probe="captures", expires_at=later)
        page = logged_in(viewer).get(f"/rollouts/items/{signable.pk}/")
        assert "Refuted" in page.text
        assert "Good until" not in page.text

    def test_where_no_template_is_used_there_is_nothing_to_sign_for(
        self, logged_in, operator, signable
    ):
        client, address = logged_in(operator), f"/rollouts/items/{signable.pk}/sign/"
        assert "there is nothing to sign for" in client.get(address).text
        refused = client.post(address, {"note": "Looked at it, I did.", "days": "30"})
        assert refused.status_code == 422
        assert "It was not signed: Letters uses no template yet" in refused.text
        assert not Evidence.objects.exists()

    def test_what_a_probe_proves_alone_is_not_signed(self, logged_in, operator, signable):
        other = signable.checklist.items.get(number=1)
        assert logged_in(operator).get(f"/rollouts/items/{other.pk}/sign/").status_code == 404

    def test_is_for_those_who_may_sign(self, logged_in, editor, signable):
        assert logged_in(editor).get(f"/rollouts/items/{signable.pk}/sign/").status_code == 403


class TestHistory:
    """A list of a domain from which the stream sends no more, in a tab that stood open."""

    @pytest.fixture
    def moved(self, plain, signable):
        plain.domain = make_domain(name="other.example")
        plain.save()
        return signable.checklist

    def test_is_not_probed(self, logged_in, operator, moved):
        page = logged_in(operator).post(f"/rollouts/checklists/{moved.pk}/probe/", follow=True)
        assert "It was not probed: Letters sends from other.example by now" in page.text
        assert not Evidence.objects.exists()

    def test_is_not_signed_and_the_note_stays(self, logged_in, operator, moved, signable):
        data = {"note": "Looked at it in Outlook, dark.", "days": "30"}
        page = logged_in(operator).post(f"/rollouts/items/{signable.pk}/sign/", data)
        assert page.status_code == 422
        assert "It was not signed: Letters sends from other.example by now" in page.text
        assert data["note"] in page.text
        assert not Evidence.objects.exists()

    def test_says_so_and_offers_nothing(self, logged_in, operator, moved, signable):
        address = f"/rollouts/items/{signable.pk}/sign/"
        page = logged_in(operator).get(address, follow=True)
        assert page.redirect_chain == [(f"/rollouts/items/{signable.pk}/", 302)]
        assert "This is history" in page.text
        assert address not in page.text
        assert "What to do" not in page.text


def press(client, planned, page=None, **data):
    """Press on the launch page as `page` shows it, by default as it is now."""
    address = f"/rollouts/campaigns/{planned.pk}/launch/"
    facts = (page or client.get(address)).context["facts"]
    return client.post(address, {"typed_name": planned.name, "seen": " ".join(facts), **data})


class TestLaunch:
    def test_shows_what_will_happen_and_launches(self, logged_in, operator, proven):  # noqa: F811
        client = logged_in(operator)
        page = client.get(f"/rollouts/campaigns/{proven.pk}/launch/")
        assert "Will get it" in page.text
        assert "Why launch although" not in page.text
        assert f'name="seen" value="{" ".join(page.context["facts"])}"' in page.text
        response = press(client, proven, page)
        assert "starts now" in client.get(response["Location"]).text
        proven.refresh_from_db()
        assert proven.is_running

    def test_wants_the_name(self, logged_in, operator, proven):  # noqa: F811
        address = f"/rollouts/campaigns/{proven.pk}/launch/"
        assert logged_in(operator).post(address, {"typed_name": "x"}).status_code == 422
        proven.refresh_from_db()
        assert proven.is_draft

    def test_wants_a_reason_where_not_everything_holds(self, logged_in, operator, rehearsed):  # noqa: F811
        client = logged_in(operator)
        make_checklists()
        assert press(client, rehearsed, override_reason="no").status_code == 422
        press(client, rehearsed, override_reason="The board wants it.")
        assert Override.objects.get().actor_label == operator.email
        assert "The board wants it." in client.get("/rollouts/").content.decode()

    def test_says_that_nothing_leaves_while_what_carries_it_stands_still(
        self,
        logged_in,
        operator,
        proven,  # noqa: F811
    ):
        client, address = logged_in(operator), f"/rollouts/campaigns/{proven.pk}/launch/"
        assert "nothing leaves" not in client.get(address).text
        ways = [route.transport for route in proven.stream.routes.order_by("position")]
        for way in ways:
            way.pause(PauseCause.PERSON, "", "")
        said = " and ".join(f"{way} is paused" for way in ways)
        assert f"{said}: nothing leaves until one of them sends again." in client.get(address).text
        proven.stream.pause(PauseCause.PERSON, "", "")
        assert "It is paused: nothing leaves until it is resumed." in client.get(address).text

    def test_leads_to_more_time_where_the_stream_gives_up_early(self, logged_in, admin, proven):  # noqa: F811
        address = f"/rollouts/campaigns/{proven.pk}/launch/"
        edit = reverse("transports:stream-edit", args=[proven.stream_id])
        assert edit not in logged_in(admin).get(address).text
        Stream.objects.filter(pk=proven.stream_id).update(expiry_seconds=60)
        page = logged_in(admin).get(address).text
        assert "gives up 1 min after a mail is due" in page
        assert edit in page

    def test_launches_what_the_page_showed_and_nothing_else(
        self,
        logged_in,
        operator,
        proven,  # noqa: F811
    ):
        client = logged_in(operator)
        page = client.get(f"/rollouts/campaigns/{proven.pk}/launch/")
        everyone = make_audience("a@example.com", "b@example.com", name="Everyone")
        Campaign.objects.filter(pk=proven.pk).update(audience=everyone)
        proven.refresh_from_db()
        blocked = press(client, proven, page, at="2999-01-01T00:00")
        assert blocked.status_code == 422
        assert "2999-01-01T00:00" in blocked.text
        rehearse(proven, operator)
        refused = press(client, proven, page)
        assert refused.status_code == 422
        assert "while the page stood open: the audience, the rehearsal." in refused.text
        assert 'value="Spring"' in refused.text
        assert "Everyone" in refused.text
        proven.refresh_from_db()
        assert proven.is_draft
        assert press(client, proven, refused).status_code == 302
        proven.refresh_from_db()
        assert proven.is_running

    def test_a_reason_is_not_held_for_what_arose_after_it(self, logged_in, operator, proven):  # noqa: F811
        ChecklistItem.objects.filter(number=7).update(state="missing")
        client = logged_in(operator)
        page = client.get(f"/rollouts/campaigns/{proven.pk}/launch/")
        ChecklistItem.objects.filter(number=2).update(state="failed")
        reason = "The last look comes tomorrow."
        refused = press(client, proven, page, override_reason=reason)
        assert refused.status_code == 422
        assert "stood open: what does not hold." in refused.text
        assert reason in refused.text
        assert not Override.objects.exists()
        ChecklistItem.objects.filter(number=7).update(state="holds")
        assert press(client, proven, refused, override_reason=reason).status_code == 302
        assert len(Override.objects.get().keys) == 1

    @pytest.mark.parametrize("at", ["1999-01-01T00:00", "9999-01-01T00:00", "soon"])
    def test_a_time_that_is_none_is_refused(self, logged_in, operator, proven, at):  # noqa: F811
        address = f"/rollouts/campaigns/{proven.pk}/launch/"
        data = {"typed_name": "Spring", "at": at}
        assert logged_in(operator).post(address, data).status_code == 422

    def test_a_time_of_a_clock_that_nobody_has_is_refused(self, logged_in, operator, proven):  # noqa: F811
        at = f"{timezone.now() + timedelta(days=30):%Y-%m-%dT10:00}+23:59"
        address = f"/rollouts/campaigns/{proven.pk}/launch/"
        page = logged_in(operator).post(address, {"typed_name": "Spring", "at": at})
        assert page.status_code == 422
        assert "No clock is that far from UTC" in page.text

    def test_an_unrehearsed_one_can_not_be_launched_by_anyone(self, logged_in, admin, campaign):  # noqa: F811
        client, address = logged_in(admin), f"/rollouts/campaigns/{campaign.pk}/launch/"
        assert "Rehearse it now" in client.get(address).content.decode()
        data = {"typed_name": "Spring", "override_reason": "Because I can."}
        assert client.post(address, data).status_code == 422
        campaign.refresh_from_db()
        assert campaign.is_draft

    def test_one_that_runs_is_not_launched_again(self, logged_in, operator, db):
        running = make_campaign(state="running")
        response = logged_in(operator).post(
            f"/rollouts/campaigns/{running.pk}/launch/", {}, follow=True
        )
        assert "is running already" in response.content.decode()

    def test_is_for_senders_who_gave_their_password(self, logged_in, oncall, operator, client, db):
        address = f"/rollouts/campaigns/{make_campaign().pk}/launch/"
        assert logged_in(oncall).get(address).status_code == 403
        client.force_login(operator, backend="allauth.account.auth_backends.AuthenticationBackend")
        assert "reauthenticate" in client.get(address)["Location"]


class TestPanels:
    def test_the_launch_panel_is_a_fragment_and_a_page(self, logged_in, viewer, rehearsed):  # noqa: F811
        client, address = logged_in(viewer), f"/rollouts/campaigns/{rehearsed.pk}/panel/"
        fragment = client.get(address, headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in fragment
        assert "Production checklist" in fragment
        assert "Launch…" not in fragment
        assert "<html" in client.get(address).content.decode()

    def test_the_domain_panel_names_its_streams(self, logged_in, viewer, plain):
        address = f"/rollouts/domains/{plain.domain_id}/panel/"
        fragment = logged_in(viewer).get(address, headers={"HX-Request": "true"}).content.decode()
        assert "Letters" in fragment
        assert "<html" not in fragment


class TestWhoMay:
    def test_the_anonymous_are_sent_to_log_in(self, client, plain, signable):
        for address in [
            "",
            f"streams/{plain.pk}/",
            f"items/{signable.pk}/",
            f"items/{signable.pk}/sign/",
        ]:
            assert "login" in client.get(f"/rollouts/{address}")["Location"]

    def test_a_stranger_sees_nothing(self, logged_in, stranger, plain):
        assert logged_in(stranger).get("/rollouts/").status_code == 403


class TestCheckRollout:
    def run(self, *arguments):
        out = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("check_rollout", *arguments, stdout=out)
        return ended.value.code, out.getvalue()

    def test_is_1_while_an_item_does_not_hold(self, stream):
        code, out = self.run("Letters", "--json")
        assert code == 1
        said = json.loads(out)
        assert [item["state"] for item in said["items"]][:2] == ["holds", "holds"]

    def test_is_0_when_all_hold(self, stream, monkeypatch):
        def prove(checklist):
            checklist.items.update(state="holds")
            return checklist

        monkeypatch.setattr("mailops.rollouts.management.commands.check_rollout.probe", prove)
        assert self.run("Letters", "--list", "two_weeks")[0] == 0

    def test_is_2_for_a_stream_that_is_none(self, db):
        with pytest.raises(CommandError) as error:
            call_command("check_rollout", "Nothing")
        assert error.value.returncode == 2

    @pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
    def test_is_2_where_the_database_is_away(self, stream, monkeypatch, kind):
        def fall_silent(*_, **__):
            raise kind("connection lost")

        monkeypatch.setattr("mailops.rollouts.management.commands.check_rollout.probe", fall_silent)
        with pytest.raises(CommandError, match="connection lost") as error:
            call_command("check_rollout", "Letters")
        assert error.value.returncode == 2
