"""Mail templates that we did not write compile, render, travel by SMTP and come back."""

import re
import smtplib
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller

from mailops.content.checking import look_over
from mailops.outbox.mime import Letter
from mailops.outbox.skeleton import assemble
from tests.ports import free_port

NODE = Path(__file__).parents[1] / "node" / "node_modules"
HTML = [
    *sorted((NODE / "foundation-emails" / "templates").glob("*.html")),
    *sorted((NODE / "responsive-html-email-template").glob("*.html")),
]
MJML = [
    pytest.param(example, id=f"{readme.parent.name}-{number}")
    for readme in sorted(NODE.glob("mjml-*/README.md"))
    for number, example in enumerate(
        re.findall(r"<mjml>.*?</mjml>", readme.read_text(), re.DOTALL), 1
    )
]
ROW = "{% for row in rows %}<tr><td>{{ row }}</td></tr>{% endfor %}"


@pytest.fixture(scope="module")
def relay():
    class Handler:
        content = b""

        async def handle_DATA(self, server, session, envelope):
            Handler.content = envelope.original_content
            return "250 OK"

    controller = Controller(
        Handler(), hostname="127.0.0.1", port=free_port(), data_size_limit=10_000_000
    )
    controller.start()
    yield controller.server.sockets[0].getsockname()[1], Handler
    controller.stop()


def sent_and_received(rendered, relay):
    port, handler = relay
    letter = Letter(
        public_id=uuid4(),
        header_from_name="Ada",
        header_from="news@example.com",
        reply_to="",
        recipient="bob@example.net",
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        message_id="<1@example.com>",
        date=datetime.now(UTC),
    )
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("news@example.com", ["bob@example.net"], assemble(letter))
    received = message_from_bytes(handler.content, policy=policy.default)
    html = received.get_body(("html",)).get_content()
    return html.replace("\r\n", "\n"), received["Subject"]  # SMTP has its own line ends


def bare(html):
    """Leave out what we declare to change: style attributes, and the importance of what stands in @media."""
    html = re.sub(r"\sstyle=(\"[^\"]*\"|'[^']*')", "", html)
    return re.sub(r"\s*!important|;|\s+", "", html)


class TestHtml:
    def test_is_there(self):
        assert len(HTML) > 8, "run make test, which installs them"

    @pytest.mark.parametrize("path", HTML, ids=lambda path: f"{path.parent.name}-{path.stem}")
    def test_compiles_travels_and_comes_back(self, path, relay):
        source = path.read_text().replace("\r\n", "\n")
        look = look_over(subject="Ünïcode", html=source, text="", sample={})
        assert look.errors == []
        assert bare(look.compiled) == bare(source)
        html, subject = sent_and_received(look.rendered, relay)
        assert html.rstrip("\n") == look.rendered.html.rstrip("\n")
        assert subject == "Ünïcode"

    def test_keeps_a_loop_around_rows(self):
        (path,) = (each for each in HTML if each.name == "email.html")
        source = path.read_text().replace("<tr>", f"{ROW}<tr>", 1)
        look = look_over(subject="x", html=source, text="", sample={"rows": ["one", "two"]})
        rows = re.findall(r"<tr><td[^>]*>(?:one|two)</td></tr>", look.rendered.html)
        assert len(rows) == 2
        assert look.rendered.html.count("style=") > source.count("style=")


class TestMjml:
    def test_is_there(self):
        assert len(MJML) > 6, "run make test, which installs them"

    @pytest.mark.parametrize("source", MJML)
    def test_compiles_travels_and_comes_back(self, source, relay):
        look = look_over(subject="x", html=source, text="", sample={}, syntax="mjml")
        assert [problem.sentence for problem in look.errors] == []
        html, _ = sent_and_received(look.rendered, relay)
        assert html.rstrip("\n") == look.rendered.html.rstrip("\n")
