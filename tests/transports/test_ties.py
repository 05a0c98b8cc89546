import pytest
from django.urls import reverse

from mailops.digests.models import Way
from mailops.incidents.models import NotificationChannel
from mailops.transports.models import Stream
from tests.factories import (
    make_campaign,
    make_domain,
    make_identity,
    make_stream,
    make_transport,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def stream():
    return make_stream(
        name="News",
        kind="bulk",
        domain=make_domain(name="acme.example"),
        transport=make_transport(),
        backoff_seconds=[60],
        expiry_seconds=3600,
    )


@pytest.fixture
def save(admin, logged_in, stream):
    """Press "Save" with some fields changed; return the answer."""
    client, url = logged_in(admin), reverse("transports:stream-edit", args=[stream.pk])

    def save(**fields):
        form = client.get(url).context["form"]
        data = {field.name: field.value() for field in form if field.value() not in (None, False)}
        return client.post(url, data | fields)

    return save


def make_channel(stream):
    return NotificationChannel.objects.create(
        name="On call",
        kind="mail",
        recipient="oncall@example.net",
        stream=stream,
        identity=make_identity(domain=stream.domain),
    )


@pytest.mark.parametrize("state", ["draft", "scheduled", "running", "paused"])
class TestCampaignsThatAreNotOver:
    def test_keep_a_stream_bulk(self, state, save, stream):
        make_campaign(name="Spring", stream=stream, state=state)
        response = save(kind="transactional")
        assert response.status_code == 422
        (told,) = response.context["form"].errors["kind"]
        assert told.startswith(f"“Spring” ({state}) leaves through this stream, and campaigns must")
        assert told in response.text
        assert "Add another stream" in told
        assert Stream.objects.get().kind == "bulk"

    def test_keep_it_at_its_domain(self, state, save, stream):
        make_campaign(stream=stream, state=state)
        make_campaign(name="Spring", stream=stream, state=state)
        response = save(domain=make_domain(name="beta.example").pk, name="Letters")
        assert response.status_code == 422
        (told,) = response.context["form"].errors["domain"]
        assert told.startswith(f"“Spring” ({state}) and 1 more leave through this stream")
        assert 'value="Letters"' in response.text
        assert Stream.objects.get().domain == stream.domain

    def test_let_all_else_be_changed(self, state, save, stream):
        make_campaign(stream=stream, state=state)
        assert save(name="Letters").status_code == 302
        assert Stream.objects.get().name == "Letters"


class TestAlertsAndTheDigest:
    def test_of_a_channel_keep_a_stream_at_its_domain(self, save, stream):
        channel = make_channel(stream)
        elsewhere = make_domain(name="beta.example")
        response = save(domain=elsewhere.pk)
        assert response.status_code == 422
        (told,) = response.context["form"].errors["domain"]
        assert told.startswith("Incidents are told of through this stream (“On call”), from a")
        assert "not at beta.example" in told
        assert Stream.objects.get().domain == stream.domain
        channel.is_enabled = False
        channel.save()
        assert save(domain=elsewhere.pk).status_code == 302

    def test_keep_it_at_its_domain_together_with_campaigns(self, save, stream):
        Way.objects.create(stream=stream, identity=make_identity(domain=stream.domain))
        make_channel(stream)
        make_campaign(name="Spring", stream=stream)
        response = save(domain=make_domain(name="beta.example").pk)
        assert response.status_code == 422
        told = response.context["form"].errors["domain"]
        assert len(told) == 3
        assert any("The weekly digest goes through this stream" in why for why in told)
        assert Stream.objects.get().domain == stream.domain

    @pytest.mark.parametrize("kind", ["channel", "way"])
    def test_keep_it_there(self, kind, admin, logged_in, stream):
        if kind == "channel":
            make_channel(stream)
        else:
            Way.objects.create(stream=stream, identity=make_identity(domain=stream.domain))
        url = reverse("transports:stream-delete", args=[stream.pk])
        response = logged_in(admin).post(url, {"typed_name": stream.name}, follow=True)
        assert "alerts or the weekly digest belong to News, so it stays" in response.text
        assert Stream.objects.exists()

    def test_let_all_else_be_changed(self, save, stream):
        Way.objects.create(stream=stream, identity=make_identity(domain=stream.domain))
        make_channel(stream)
        assert save(name="Letters", kind="transactional").status_code == 302


class TestStreamsThatMayBeChanged:
    @pytest.mark.parametrize("state", ["completed", "canceled"])
    def test_those_whose_campaigns_are_over(self, state, save, stream):
        make_campaign(stream=stream, state=state)
        elsewhere = make_domain()
        assert save(kind="transactional", domain=elsewhere.pk).status_code == 302
        assert Stream.objects.get().domain == elsewhere

    def test_those_of_which_no_campaign_is(self, save, stream):
        make_campaign()
        assert save(kind="transactional").status_code == 302

    def test_one_that_goes_back_to_what_its_campaigns_need(self, save, stream):
        home = make_domain(name="beta.example")
        make_campaign(stream=stream, identity=make_identity(domain=home))
        Stream.objects.filter(pk=stream.pk).update(kind="transactional")
        assert save(name="Letters").status_code == 302
        assert save(kind="bulk", domain=home.pk).status_code == 302
        stream.refresh_from_db()
        assert stream.is_bulk
        assert stream.domain == home
