"""Port and TLS by environment, and the provider kinds' forms, which all come from one table."""

import pytest
from django.urls import reverse

from mailops.dispatch.carriers import usable_carriers
from mailops.transports.forms.transports import form_of
from mailops.transports.kinds.apis import APIS
from mailops.transports.models import Route, Transport
from mailops.transports.providers import PRESETS, misfits
from tests.factories import make_stream, make_transport
from tests.wrong_input.reading_forms import forms_of

COMMON = {
    "name": "One",
    "environment": "production",
    "max_sessions": "2",
    "messages_per_session": "100",
}
GOOD = {
    "amazon_ses": {"region": "eu-west-1"},
    "mailgun": {"sender_domain": "mg.example.com", "region": "eu"},
    "postal": {"endpoint_url": "https://postal.example.com"},
    "postmark": {"message_stream": "broadcasts"},
    "scaleway": {"project_id": "11111111-2222-3333-4444-555555555555", "region": "fr-par"},
    "sendgrid": {"region": "global"},
    "sparkpost": {"region": "us"},
    "unisender_go": {"region": "go1"},
}


def smtp(**fields):
    return Transport(**{"kind": "smtp", "host": "smtp.example.com", **fields})


class TestMisfits:
    @pytest.mark.parametrize(
        ("environment", "port", "security", "wrong"),
        [
            ("production", 587, "starttls", set()),
            ("production", 465, "tls", set()),
            ("production", 2525, "starttls", set()),
            ("production", 465, "starttls", {"security"}),
            ("production", 587, "tls", {"security"}),
            ("production", 25, "starttls", {"port"}),
            ("staging", 25, "starttls", set()),
            ("staging", 465, "starttls", {"security"}),
            ("development", 465, "starttls", set()),
        ],
    )
    def test_are_what_an_environment_does_not_allow(self, environment, port, security, wrong):
        transport = smtp(environment=environment, port=port, security=security)
        assert set(misfits(transport)) == wrong

    def test_a_trusted_relay_may_be_as_it_is(self, settings):
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("smtp.example.com", 25)})
        assert not misfits(smtp(port=25, security="starttls"))

    def test_a_sandbox_is_not_production(self):
        options = {"sandbox_id": "1"}
        assert misfits(Transport(kind="mailtrap", options=options))
        assert not misfits(Transport(kind="mailtrap", options=options, environment="staging"))


@pytest.mark.django_db
class TestForms:
    @pytest.mark.parametrize("kind", APIS)
    def test_take_their_own_fields_and_keep_them_in_the_row(self, kind):
        form = form_of(kind)(COMMON | GOOD.get(kind, {}), instance=Transport(kind=kind))
        assert form.is_valid(), form.errors
        assert GOOD.get(kind, {}).items() <= form.instance.options.items()

    @pytest.mark.parametrize(
        ("kind", "wrong"),
        [
            ("amazon_ses", {"region": "Ireland"}),
            ("mailgun", {"sender_domain": "a/b", "region": "eu"}),
            ("mailgun", {"sender_domain": "mg.example.com", "region": "moon"}),
            ("mailtrap", {"sandbox_id": "x"}),
            ("postal", {}),
            ("postal", {"endpoint_url": "http://postal.example.com"}),
            ("postal", {"endpoint_url": "https://user:word@postal.example.com"}),
            ("postal", {"endpoint_url": "file:///etc/passwd"}),
            ("postal", {"endpoint_url": "https://пример.example"}),
            ("scaleway", {"project_id": "1", "region": "fr-par"}),
            ("sparkpost", {"region": "us", "subaccount": "x\ny"}),
        ],
    )
    def test_refuse_what_does_not_fit(self, kind, wrong):
        assert not form_of(kind)(COMMON | wrong, instance=Transport(kind=kind)).is_valid()

    def test_a_transport_in_use_keeps_its_environment(self):
        transport = make_transport(kind="brevo", host="")
        make_stream(transport=transport, name="News")
        data = COMMON | {"environment": "staging"}
        form = form_of("brevo")(data, instance=transport)
        assert "News" in form.errors["environment"][0]

    def test_every_preset_has_a_page_to_add_it(self, admin, logged_in):
        client = logged_in(admin)
        choices = client.get(reverse("transports:add")).text
        for preset in PRESETS.values():
            assert preset.name in choices
            assert client.get(reverse("transports:add"), {"preset": preset.key}).status_code == 200

    @pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.key)
    def test_every_preset_can_be_saved_as_it_is_filled_in_and_again(self, admin, logged_in, preset):
        client = logged_in(admin)

        def save_untouched(url, **typed):
            shown = forms_of(client.get(url).text, url)[-1].values
            response = client.post(url, shown | typed)
            assert response.status_code == 302, response.context["form"].errors

        typed = GOOD.get(preset.kind, {})
        if preset.key == "smtp":
            typed = {"name": "One", "host": "smtp.example.com"}
        save_untouched(f"{reverse('transports:add')}?preset={preset.key}", **typed)
        added = Transport.objects.values().get()
        assert added["options"].get("spf_include", "") == preset.spf_include
        save_untouched(reverse("transports:edit", args=[added["id"]]))
        assert Transport.objects.values().get() == added

    def test_a_preset_fills_in_the_provider_s_limits(self, admin, logged_in):
        page = logged_in(admin).get(reverse("transports:add"), {"preset": "gmail"}).text
        assert 'value="500"' in page


@pytest.mark.django_db
class TestDispatch:
    def test_a_transport_of_another_environment_carries_nothing(self):
        stream = make_stream()
        assert [one.transport_id for one in usable_carriers("bulk")] == [stream.transport.pk]
        Transport.objects.update(environment="development")
        assert usable_carriers("bulk") == []

    def test_nor_does_it_stand_before_one_that_may(self):
        stream = make_stream(transport=make_transport(environment="staging"))
        second = make_transport()
        Route.objects.create(stream=stream, transport=second, position=1)
        assert [one.transport_id for one in usable_carriers("bulk")] == [second.pk]


@pytest.mark.django_db
class TestCredentials:
    @pytest.mark.parametrize(
        ("kind", "label", "has_user"),
        [("brevo", "API key", False), ("mailjet", "Secret key", True)],
    )
    def test_ask_for_what_the_provider_calls_them(self, admin, logged_in, kind, label, has_user):
        transport = make_transport(kind=kind, host="", options={"preset": f"{kind}_api"})
        url = reverse("transports:credential-add", args=[transport.pk])
        client = logged_in(admin)
        page = client.get(url).text
        assert label in page
        assert ('type="hidden" name="username"' in page) is not has_user
        given = {"label": "Key", "secret": "a-long-secret", "username": "api"}
        assert client.post(url, given).status_code == 302
        assert transport.active_credential.reveal().reveal() == "a-long-secret"

    def test_a_page_says_how_to_register_the_webhook(self, admin, logged_in):
        transport = make_transport(kind="resend", host="")
        page = logged_in(admin).get(reverse("transports:detail", args=[transport.pk])).text
        assert "copy the signing secret" in page
        assert reverse("feedback:webhook-of", args=[transport.pk]) in page
