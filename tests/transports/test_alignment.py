import pytest

from mailops.domains.checking import check_domain
from mailops.domains.signing_keys import begin_signing, make_key
from mailops.transports.alignment import crossings_of
from mailops.transports.models import Route
from mailops.transports.requirements import require_records
from tests.domains.zones import asks, dns, dns_server, good  # noqa: F401 - fixtures
from tests.factories import make_domain, make_stream, make_transport

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(good):  # noqa: F811
    return make_domain(name="acme.example")


@pytest.fixture
def stream(acme):
    """A stream with an SMTP server of our own, and a provider that returns bounces to itself and doesn't sign."""
    stream = make_stream(name="Letters", domain=acme, transport=make_transport(name="Relay"))
    provider = make_transport(name="ESP", kind="amazon_ses")
    Route.objects.create(stream=stream, transport=provider, position=1)
    require_records([acme])
    check_domain(acme)
    acme.refresh_from_db()
    return stream


def told(domain, stream):
    return [(row.transport.name, row.result, row.by) for row in crossings_of(domain, [stream])]


class TestCrossings:
    def test_each_transport_passes_or_not_by_its_own_legs(self, acme, stream):
        assert told(acme, stream) == [("Relay", "pass", "SPF"), ("ESP", "fail", "")]
        relay, provider = crossings_of(acme, [stream])
        assert (relay.relaxed, relay.strict) == ("pass", "fail")
        assert "Signing page" in relay.change
        assert (relay.may_be_signed, provider.may_be_signed) == (True, False)
        assert "name its DKIM selector" in provider.change
        assert acme.findings.get(check_name="alignment").status == "error"

    def test_a_key_that_mailops_signs_with_makes_its_own_transports_pass(self, acme, stream, good):  # noqa: F811
        key = make_key(domain=acme, algorithm="ed25519", selector="mo1")
        good.zones[key.host] = {"TXT": [key.record]}
        begin_signing(key=key, actor=None)
        check_domain(acme)
        assert told(acme, stream) == [("Relay", "pass", "SPF and DKIM"), ("ESP", "fail", "")]

    def test_what_another_transport_lacks_in_spf_is_not_held_against_this_one(self, acme, stream):
        provider = stream.routes.get(position=1).transport
        provider.options = {"spf_include": "_spf.other.example"}
        provider.save()
        require_records([acme])
        check_domain(acme)
        assert acme.findings.get(check_name="spf").status == "error"
        assert told(acme, stream)[0] == ("Relay", "pass", "SPF")

    def test_a_domain_that_was_never_checked_is_not_known(self):
        stream = make_stream()
        assert told(stream.domain, stream) == [(stream.transport.name, "unknown", "")]


class TestPages:
    def test_stand_on_the_stream_and_the_domain(self, acme, stream, logged_in, viewer):
        client = logged_in(viewer)
        for url in (f"/transports/streams/{stream.pk}/", f"/transports/alignment/{acme.pk}/"):
            page = client.get(url).content.decode()
            assert "Passes" in page
            assert "Fails" in page
            assert "breaks when mail is forwarded" in page
        assert (
            f"/transports/alignment/{acme.pk}/"
            in client.get(f"/domains/{acme.pk}/").content.decode()
        )

    def test_htmx_gets_the_panel_only_and_the_anonymous_nothing(
        self, acme, logged_in, viewer, client
    ):
        url = f"/transports/alignment/{acme.pk}/"
        assert client.get(url).status_code == 302
        page = logged_in(viewer).get(url, headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in page
        assert "No stream sends" in page

    def test_costs_the_same_however_many_streams(
        self, acme, logged_in, viewer, django_assert_max_num_queries
    ):
        for _ in range(5):
            make_stream(domain=acme)
        require_records([acme])
        check_domain(acme)
        client = logged_in(viewer)
        with django_assert_max_num_queries(9):
            client.get(f"/transports/alignment/{acme.pk}/")
