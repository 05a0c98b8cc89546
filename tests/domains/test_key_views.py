import pytest

from mailops.accounts.models import AuditEntry
from mailops.domains.models import SigningKey
from mailops.domains.signing_keys import begin_signing, look, make_key
from tests.factories import make_domain

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(good):
    return make_domain(name="acme.example")


@pytest.fixture
def key(acme):
    return make_key(domain=acme, algorithm="rsa", selector="mo1")


@pytest.fixture
def published(key, good):
    good.zones[key.host] = {"TXT": [key.record]}
    look(key)
    return key


def page_of(client, acme, **headers):
    return client.get(f"/domains/{acme.pk}/keys/", headers=headers)


class TestTheFlow:
    def test_make_publish_sign_rotate_and_take_back(self, logged_in, admin, acme, good):
        client = logged_in(admin)
        assert "mailops signs nothing" in page_of(client, acme).content.decode()
        for selector in ("mo1", "mo2"):
            data = {"algorithm": "rsa", "selector": selector}
            client.post(f"/domains/{acme.pk}/keys/make/", data)
            key = SigningKey.objects.get(selector=selector)
            page = page_of(client, acme).content.decode()
            assert key.record in page
            assert key.in_pieces.replace('"', "&quot;") in page
            good.zones[key.host] = {"TXT": [key.record]}
            client.post(f"/domains/keys/{key.pk}/look/")
            assert client.get(f"/domains/keys/{key.pk}/begin/").status_code == 200
            client.post(f"/domains/keys/{key.pk}/begin/")
        first, second = SigningKey.objects.order_by("selector")
        assert (first.state, second.state) == ("retiring", "signing")
        assert "Take it back" in page_of(client, acme).content.decode()
        client.post(f"/domains/keys/{first.pk}/begin/")
        first.refresh_from_db()
        assert first.is_signing
        assert AuditEntry.objects.filter(verb__startswith="signing_key.").count() == 7
        looks = AuditEntry.objects.filter(verb="signing_key.look")
        assert {(entry.actor, entry.subject_id) for entry in looks} == {
            (admin, str(first.pk)),
            (admin, str(second.pk)),
        }

    def test_a_key_that_dns_does_not_show_is_not_begun(self, logged_in, admin, key, good):
        response = logged_in(admin).post(f"/domains/keys/{key.pk}/begin/")
        assert response.status_code == 422
        assert "no record at this name" in response.content.decode()
        key.refresh_from_db()
        assert key.is_waiting

    def test_stopping_wants_the_selector_typed(self, logged_in, admin, published):
        begin_signing(key=published, actor=None)
        client, url = logged_in(admin), f"/domains/keys/{published.pk}/stop/"
        assert client.post(url, {"typed_name": "mo2"}).status_code == 422
        client.post(url, {"typed_name": "mo1"})
        published.refresh_from_db()
        assert published.is_retiring

    def test_an_unused_key_is_discarded_once(self, logged_in, admin, key):
        client = logged_in(admin)
        client.post(f"/domains/keys/{key.pk}/discard/")
        assert not SigningKey.objects.exists()
        assert client.post(f"/domains/keys/{key.pk}/discard/").status_code == 404

    @pytest.mark.parametrize(
        "data",
        [
            {"algorithm": "rsa", "selector": "a b"},
            {"algorithm": "rsa", "selector": "mo1"},
            {"algorithm": "dsa", "selector": "mo2"},
            {"algorithm": "rsa", "selector": ""},
        ],
    )
    def test_nonsense_is_422(self, logged_in, admin, acme, key, data):
        assert logged_in(admin).post(f"/domains/{acme.pk}/keys/make/", data).status_code == 422
        assert SigningKey.objects.count() == 1


class TestThePage:
    def test_asks_again_while_a_key_waits_and_stops_then(self, logged_in, viewer, acme, published):
        client = logged_in(viewer)
        fragment = page_of(client, acme, **{"HX-Request": "true"})
        assert fragment.status_code == 286
        assert "<html" not in fragment.content.decode()
        make_key(domain=acme, algorithm="ed25519", selector="mo2")
        assert page_of(client, acme, **{"HX-Request": "true"}).status_code == 200

    def test_never_shows_the_private_half(self, logged_in, admin, acme, key):
        pem = key.reveal().reveal().splitlines()[1]
        assert pem not in page_of(logged_in(admin), acme).content.decode()

    def test_who_may_not_has_no_buttons(self, logged_in, viewer, oncall, acme, published):
        page = page_of(logged_in(viewer), acme).content.decode()
        assert "Sign with it<" not in page
        assert "Look now" not in page
        assert logged_in(viewer).post(f"/domains/keys/{published.pk}/look/").status_code == 403
        assert logged_in(oncall).post(f"/domains/keys/{published.pk}/begin/").status_code == 403
        assert logged_in(oncall).post(f"/domains/keys/{published.pk}/look/").status_code == 302

    def test_the_anonymous_are_sent_to_log_in(self, client, acme):
        assert page_of(client, acme).status_code == 302

    def test_asks_the_database_a_fixed_number_of_times(
        self, logged_in, viewer, acme, django_assert_max_num_queries
    ):
        for n in range(5):
            make_key(domain=acme, algorithm="ed25519", selector=f"k{n}")
        client = logged_in(viewer)
        with django_assert_max_num_queries(6):
            page_of(client, acme)
