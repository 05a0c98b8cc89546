"""What recipients call: a picture, and links that lead where they were signed to lead, database or not."""

import pytest
from django.db import OperationalError, connections
from django.test import Client

from mailops.outbox import tokens
from mailops.protocol import looks
from mailops.tracking import taking
from mailops.tracking.models import Hit
from tests.factories import make_message
from tests.tracking.conftest import PHONE
from tests.tracking.mails import SALE, click_path, picture_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def message():
    return make_message()


def kinds(intake):
    intake.flush()
    return sorted(Hit.objects.values_list("kind", flat=True))


class TestClick:
    def test_leads_to_what_was_signed(self, client, message, intake):
        answer = client.get(click_path(message), headers={"User-Agent": PHONE})
        assert (answer.status_code, answer["Location"]) == (302, SALE)
        intake.flush()
        hit = Hit.objects.get()
        assert (hit.kind, hit.public_id, hit.user_agent) == ("click", message.public_id, PHONE)

    def test_says_nothing_of_itself_to_anybody(self, client, message):
        answer = client.get(click_path(message), headers={"Origin": "https://evil.example"})
        assert answer["Cache-Control"] == "no-store"
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer["X-Robots-Tag"]
        assert not answer.cookies
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]

    def test_leads_to_letters_of_any_tongue(self, client, message):
        answer = client.get(click_path(message, "https://bücher.example/ä?ö=ü#ß"))
        assert answer["Location"] == "https://b%C3%BCcher.example/%C3%A4?%C3%B6=%C3%BC#%C3%9F"

    @pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
    def test_takes_no_other_method(self, client, message, method):
        assert getattr(client, method)(click_path(message)).status_code == 405

    @pytest.mark.parametrize(
        "target",
        ["//evil.example", "\\\\evil.example", "javascript:alert(1)", "data:text/html,x", "https://a/\r\nSet-Cookie: a=b", "https:evil.example", "/"],
    )  # fmt: skip
    def test_leads_to_nothing_but_pages_even_where_it_was_signed(self, client, message, target):
        answer = client.get(click_path(message, target))
        assert answer.status_code == 404
        assert "Location" not in answer

    def test_leads_nowhere_with_another_target_or_another_message(self, client, message, intake):
        start, about, _ = click_path(message).split(".")
        evil = looks.encode(b"https://evil.example/").decode()
        other = click_path(make_message()).split(".")[1]
        target = looks.encode(SALE.encode()).decode()
        for token in (
            f"{about}.{evil}",
            f"{other}.{evil}",
            about,
            f"{about}.",
            f"{about}.{target}A",
            f"{about[:-1]}.{target}",
        ):
            answer = client.get(f"{start}.{token}")
            assert (answer.status_code, answer.get("Location")) == (404, None)
            assert "This link is damaged" in answer.text
            assert not answer.cookies
        assert kinds(intake) == []

    def test_of_a_key_that_is_not_ours_any_more_leads_nowhere(self, client, message, settings):
        path = click_path(message)
        settings.MAILOPS_TOKEN_KEYS = {"k2": settings.MAILOPS_TOKEN_KEYS["k1"]}
        assert client.get(path).status_code == 404
        settings.MAILOPS_TOKEN_KEYS = {"k2": "b" * 43 + "=", "k1": "a" * 43 + "="}
        tokens._decoded.cache_clear()
        assert client.get(path).status_code == 404

    def test_of_an_older_key_leads_on(self, client, message, settings):
        path = click_path(message)
        settings.MAILOPS_TOKEN_KEYS = {"k2": "b" * 43 + "=", **settings.MAILOPS_TOKEN_KEYS}
        assert client.get(path).status_code == 302

    def test_is_no_picture_and_a_picture_no_click(self, client, message):
        assert client.get(click_path(message).replace("/l/", "/o/")).status_code == 404
        assert client.get(picture_path(message).replace("/o/", "/l/")).status_code == 404


class TestPicture:
    def test_is_tiny_and_never_kept(self, client, message, intake):
        answer = client.get(picture_path(message))
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/gif")
        assert len(answer.content) < 50
        assert answer["Cache-Control"] == "no-store"
        assert not answer.cookies
        assert kinds(intake) == ["open"]


class TestNotCounted:
    @pytest.mark.parametrize(
        "headers", [{"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}]
    )  # fmt: skip
    def test_what_is_fetched_ahead_leads_on_and_is_a_probe(self, client, message, intake, headers):
        assert client.get(click_path(message), headers=headers).status_code == 302
        assert kinds(intake) == ["probe"]

    def test_whoever_asks_for_the_head_is_led_on_and_is_a_probe(self, client, message, intake):
        answer = client.head(click_path(message))
        assert (answer.status_code, answer["Location"]) == (302, SALE)
        assert client.head(picture_path(message)).status_code == 200
        assert kinds(intake) == ["probe", "probe"]

    @pytest.mark.parametrize("headers", [{"DNT": "1"}, {"Sec-GPC": "1"}])
    def test_who_wishes_not_to_be_tracked_is_led_on(self, client, message, intake, headers):
        assert client.get(click_path(message), headers=headers).status_code == 302
        assert client.get(picture_path(message), headers=headers).status_code == 200
        assert kinds(intake) == []


class TestIntake:
    def test_leads_on_while_the_database_is_away(
        self, message, intake, monkeypatch, viewer, logged_in
    ):
        member = logged_in(viewer)  # whose session nobody can look up
        path = click_path(message)

        def away(*_args, **_kwargs):
            raise OperationalError("away")

        with monkeypatch.context() as patch:
            patch.setattr(connections["default"], "cursor", away)
            for client in (Client(), member):
                assert client.get(path)["Location"] == SALE
            assert client.get(path + "x").status_code == 404

    def test_what_was_called_meanwhile_is_written_later(self, client, message, intake, monkeypatch):
        def away(*_args, **_kwargs):
            raise OperationalError("away")

        client.get(click_path(message))
        with monkeypatch.context() as patch:
            patch.setattr(Hit.objects, "bulk_create", away)
            patch.setattr(connections["default"], "close", lambda: None)
            assert not intake.flush()
            client.get(click_path(message))  # the same call, which is one until it is written
            client.get(picture_path(message))
        assert kinds(intake) == ["click", "open"]

    def test_a_flood_is_bounded(self, client, message, intake, caplog):
        for number in range(30):
            client.get(click_path(message), headers={"User-Agent": f"{PHONE} {number}"})
        assert len(kinds(intake)) == 20
        assert "10 looks at mail were too many" in caplog.text

    def test_of_one_message_no_more_are_kept_in_a_day(self, client, message, intake, monkeypatch):
        monkeypatch.setattr(taking, "MOST_OF_DAY", 25)
        for number in range(30):
            client.get(click_path(message), headers={"User-Agent": f"{PHONE} {number}"})
            intake.flush()
        client.get(click_path(make_message()))
        assert len(kinds(intake)) == 26
        assert client.get(click_path(message))["Location"] == SALE

    def test_a_program_may_have_any_name(self, client, message, intake):
        client.get(picture_path(message), headers={"User-Agent": "\x00" + "ü" * 5000})
        assert kinds(intake) == ["open"]
