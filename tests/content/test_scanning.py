"""The virus scanner: a real clamd, and one that is away, slow, or talks nonsense."""

import socket
import threading

import pytest

from mailops.accounts.models import AuditEntry
from mailops.content import enclosing, scanning
from mailops.content.enclosing import Infected
from mailops.content.looking import look_at_draft
from mailops.content.models import FileContent, MailTemplate
from mailops.content.scanning import ScannerAway, scan
from tests.clamd import EICAR, Clamd
from tests.content.some_files import PDF, png


@pytest.fixture(scope="module")
def clamd():
    with Clamd(most="1M") as running:
        yield running


@pytest.fixture
def by_tcp(settings, clamd):
    host, port = clamd.address.split(":")
    settings.MAILOPS_TRUSTED_RELAYS = frozenset({(host, int(port))})
    settings.MAILOPS_CLAMAV = clamd.address


@pytest.fixture
def template(db):
    return MailTemplate.objects.create(name="Spring", draft_html="<p>Hi</p>")


def add(template, name, content):
    return enclosing.add_file(template=template, name=name, content=content, actor=None)


def away(settings):
    settings.MAILOPS_CLAMAV = "/nowhere/clamd.socket"


@pytest.mark.needs("clamd")
class TestScan:
    def test_finds_what_its_signatures_know(self, settings, clamd):
        settings.MAILOPS_CLAMAV = clamd.socket
        assert not scan(b"Hello " * 50_000).is_infected
        assert scan(b"Hello " * 30_000 + EICAR).signature == "Eicar-Test.UNOFFICIAL"

    def test_asks_by_tcp_whoever_is_named(self, settings, by_tcp):
        assert scan(EICAR).is_infected
        settings.MAILOPS_TRUSTED_RELAYS = frozenset()
        with pytest.raises(ScannerAway, match="not public"):
            scan(EICAR)

    def test_takes_no_error_for_a_verdict(self, settings, clamd):
        settings.MAILOPS_CLAMAV = clamd.socket
        with pytest.raises(ScannerAway, match="size limit"):
            scan(b"x" * 2_000_000)


@pytest.mark.needs("clamd")
class TestFiles:
    def test_infected_are_refused_with_the_name_and_not_kept(self, template, settings, clamd):
        settings.MAILOPS_CLAMAV = clamd.socket
        with pytest.raises(Infected, match="Eicar-Test"):
            add(template, "terms.pdf", PDF + EICAR)
        assert not FileContent.objects.exists()
        entry = AuditEntry.objects.get(verb="template.refuse_file")
        assert entry.after == {"file": "terms.pdf", "signature": "Eicar-Test.UNOFFICIAL"}

    def test_not_scanned_can_not_be_published_until_the_scanner_is_back(
        self, template, settings, clamd
    ):
        away(settings)
        add(template, "terms.pdf", PDF)
        (problem,) = (p for p in look_at_draft(template)[0].problems if p.gate == "files")
        assert (problem.rule, problem.is_error) == ("files.unscanned", True)
        assert "can't be asked" in enclosing.scan_again(template=template, actor=None)
        settings.MAILOPS_CLAMAV = clamd.socket
        assert enclosing.scan_again(template=template, actor=None) == ""
        assert not [p for p in look_at_draft(template)[0].problems if p.gate == "files"]

    def test_found_infected_later_stop_the_template(self, template, settings, clamd):
        away(settings)
        add(template, "terms.pdf", PDF + EICAR)
        settings.MAILOPS_CLAMAV = clamd.socket
        assert enclosing.scan_again(template=template, actor=None) == ""
        (problem,) = (p for p in look_at_draft(template)[0].problems if p.gate == "files")
        assert "Eicar-Test" in problem.sentence
        assert problem.is_error
        with pytest.raises(Infected):
            add(template, "again.pdf", PDF + EICAR)

    def test_are_scanned_once(self, template, settings, clamd):
        settings.MAILOPS_CLAMAV = clamd.socket
        add(template, "logo.png", png())
        away(settings)
        add(template, "sign.png", png())
        assert "files.unscanned" not in {p.rule for p in look_at_draft(template)[0].problems}


class TestAway:
    @pytest.mark.parametrize("answer", [b"", b"stream: what? ERROR\0", b"\xff" * 5_000])
    def test_whoever_talks_nonsense_gave_no_verdict(self, answer, settings):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})
            settings.MAILOPS_CLAMAV = f"127.0.0.1:{port}"
            talk = threading.Thread(target=say, args=(server, answer))
            talk.start()
            with pytest.raises(ScannerAway):
                scan(b"x" * 500_000)
            talk.join()

    def test_whoever_is_silent_is_not_waited_for(self, settings, monkeypatch):
        monkeypatch.setattr(scanning, "SECONDS", 0.1)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})
            settings.MAILOPS_CLAMAV = f"127.0.0.1:{port}"
            with pytest.raises(ScannerAway, match="timed out"):
                scan(b"x")

    def test_nobody_is_asked_where_none_is_configured(self, template, settings):
        settings.MAILOPS_CLAMAV = ""
        add(template, "terms.pdf", PDF)
        assert not [p for p in look_at_draft(template)[0].problems if p.gate == "files"]


def say(server, answer):
    """Answer at once, before all is read, and hang up."""
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(answer)
