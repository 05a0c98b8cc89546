"""Whether the links of a mail lead anywhere, asked for on a real web server on this machine."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.content import gating, link_answers, reaching
from mailops.content.models import Errand, LinkAnswer, MailTemplate
from mailops.content.reaching import ask, links_in
from mailops.content.tasks import ask_links
from tests.factories import make_stream
from tests.http_server import HttpServer, QuietHandler


class Site(QuietHandler):
    """Answers by path: /404, /moved, /no-head, /loop, /large, /private, /mail, /drips; all else is there."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str]] = []

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        self.seen.append((self.command, self.path))
        name = self.path.strip("/")
        leads = {
            "moved": "/there",
            "loop": "/loop",
            "private": "http://127.0.0.2:9/",
            "mail": "mailto:a@b.example",
            "nonsense": "http://[::1/",
        }
        status = 302 if name in leads else int(name) if name.isdigit() else 200
        if name == "no-head" and self.command == "HEAD":
            status = 405
        body = b"x" * 300_000 if name == "large" and self.command == "GET" else b""
        self.send_response(501 if name == "large" and self.command == "HEAD" else status)
        if name in leads:
            self.send_header("Location", leads[name])
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def server():
    with HttpServer(Site) as running:
        yield running


@pytest.fixture
def site(server, settings, monkeypatch):
    """Return the address of the site, which counts as public."""
    settings.MAILOPS_TRUSTED_RELAYS = {("127.0.0.1", server.port)}
    monkeypatch.setattr(reaching, "is_trusted", lambda _host, _port: False)
    Site.seen.clear()
    return f"http://127.0.0.1:{server.port}"


class TestAsking:
    @pytest.mark.parametrize(
        ("path", "is_dead", "words"),
        [
            ("/", False, "it answers 200"),
            ("/moved", False, "it answers 200, after it leads to {site}/there"),
            ("/no-head", False, "it answers 200"),
            ("/large", False, "it answers 200"),
            ("/403", False, "it answers 403 to machines"),
            ("/429", False, "it answers 429 to machines"),
            ("/404", True, "it answers 404"),
            ("/410", True, "it answers 410"),
            ("/503", True, "it answers 503"),
            ("/loop", True, "it leads on more than 4 times"),
            ("/mail", True, "it leads to an address that is no page: mailto:a@b.example"),
            ("/nonsense", True, "it leads to something that is no address"),
            ("/private", True, "127.0.0.2 leads to an address that is not public"),
        ],
    )
    def test_tells_what_answers(self, site, path, is_dead, words):
        reached = ask(f"{site}{path}")
        assert (reached.is_dead, reached.sentence) == (is_dead, words.format(site=site))

    def test_asks_by_head_first(self, site):
        ask(f"{site}/there")
        ask(f"{site}/no-head")
        assert Site.seen == [("HEAD", "/there"), ("HEAD", "/no-head"), ("GET", "/no-head")]

    def test_never_goes_to_a_relay_of_ours(self, server, settings):
        settings.MAILOPS_TRUSTED_RELAYS = {("127.0.0.1", server.port)}
        Site.seen.clear()
        reached = ask(f"http://127.0.0.1:{server.port}/")
        assert "not public" in reached.sentence
        assert Site.seen == []

    @pytest.mark.parametrize("address", ["http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/"])
    def test_never_goes_inside(self, address):
        assert "not public" in ask(address).sentence


class TestLinks:
    def test_of_one_recipient_are_never_opened(self):
        links = links_in(
            "<a href='{{ unsubscribe_url }}'>1</a><a href='https://a.example/?t={{ t }}'>2</a>"
            "<a href='https://a.example/unsubscribe/x'>3</a><a href='https://a.example/?token=1'>4</a>"
            "<a href='https://a.example/confirm/7'>5</a><a href='mailto:a@b.example'>6</a>"
            "{% if x %}<a href='https://a.example/sale#top'>7</a>{% endif %}",
            "Or see https://a.example/text. And https://a.example/{{ id }}",
        )
        assert [link.address for link in links if not link.is_own] == [
            "https://a.example/sale",
            "https://a.example/text",
        ]
        assert sum(link.is_own for link in links) == 6


@pytest.fixture
def template(db, site):
    html = (
        f'<p>Hi <a href="{site}/sale">Sale</a>\n<a href="{site}/404">Gone</a></p>'
        '<a href="{{ unsubscribe_url }}">Unsubscribe</a>'
    )
    return MailTemplate.objects.create(name="T", draft_subject="Hi", draft_html=html)


def address(name, template):
    return reverse(f"content:{name}", args=[template.pk])


class TestPages:
    @pytest.fixture(autouse=True)
    def allowed(self, settings):
        settings.MAILOPS_FETCH_LINKS = True

    @property
    def asked(self):
        return [int(key) for key in Errand.objects.values_list("key", flat=True)]

    def test_asks_where_somebody_presses(self, logged_in, editor, template, site):
        client = logged_in(editor)
        assert client.post(address("links", template)).status_code == 302
        assert self.asked == [template.pk]
        waiting = client.get(
            address("links", template), {"asking": 1}, headers={"HX-Request": "true"}
        )
        assert "asking=2" in waiting.content.decode()
        ask_links()
        assert self.asked == []  # all were asked in one go
        done = client.get(address("links", template), {"asking": 2}, headers={"HX-Request": "true"})
        assert done.status_code == 286
        assert "<html" not in done.content.decode()
        page = client.get(address("links", template)).content.decode()
        assert page.index("it answers 404") < page.index("it answers 200")
        assert "never opened" in page
        client.post(address("links", template))
        assert self.asked == []  # all is known

    def test_belongs_to_authors(self, logged_in, viewer, client, template):
        assert client.get(address("links", template)).status_code == 302
        assert logged_in(viewer).get(address("links", template)).status_code == 200
        assert logged_in(viewer).post(address("links", template)).status_code == 403
        assert logged_in(viewer).get(address("links", template), {"asking": "x"}).status_code == 200

    def test_asks_nobody_where_it_may_not(self, logged_in, editor, template, settings):
        settings.MAILOPS_FETCH_LINKS = False
        client = logged_in(editor)
        client.post(address("links", template))
        assert self.asked == []
        assert "MAILOPS_FETCH_LINKS" in client.get(address("links", template)).content.decode()

    def test_hold_up_a_release_until_somebody_saw_them(self, logged_in, editor, template, site):
        stream, client = make_stream(), logged_in(editor)
        gating.require(stream=stream, gates=["reach"], actor=editor)
        unasked = client.post(address("publish", template), {"nod": "on"})
        assert unasked.status_code == 302
        assert "nobody knows" in gating.objections(template.latest_version, stream)["reach"]

        template.draft_html += "\n<p>More</p>"
        template.save()
        link_answers.ask_and_keep([f"{site}/sale", f"{site}/404"])
        page = client.get(address("publish", template)).content.decode()
        assert "HTML, line 2:" in page[page.index("/404") - 400 : page.index("/404")]
        client.post(address("publish", template), {"nod": "on"})
        assert "it answers 404" in gating.objections(template.latest_version, stream)["reach"]

        template.draft_html = template.draft_html.replace("/404", "/sale?b")
        template.save()
        link_answers.ask_and_keep([f"{site}/sale?b"])
        client.post(address("publish", template), {"nod": "on"})
        assert gating.objections(template.latest_version, stream) == {}


class TestWhatIsKept:
    def test_is_asked_again_after_a_while_and_sooner_where_it_was_dead(self, db, site):
        addresses = [f"{site}/sale", f"{site}/404"]
        link_answers.ask_and_keep(addresses)
        link_answers.ask_and_keep(addresses)
        assert len(Site.seen) == 3
        LinkAnswer.objects.update(asked_at=timezone.now() - timedelta(hours=1))
        link_answers.ask_and_keep(addresses)
        assert [path for _, path in Site.seen[3:]] == ["/404", "/404"]
        LinkAnswer.objects.update(asked_at=timezone.now() - timedelta(days=31))
        link_answers.ask_and_keep([])
        assert not LinkAnswer.objects.exists()
