"""What real spam filters say of a mail, and what is told where they say nothing."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest
from django.core.cache import cache
from django.urls import reverse

from mailops.content import gating
from mailops.content.gates import spam
from mailops.content.gates.spam import Verdict, ask_filters
from mailops.content.looking import look_at_draft
from mailops.content.models import MailTemplate
from mailops.content.outside import ask_outside
from mailops.content.publishing import publish
from mailops.content.rendering import Rendered
from tests.conftest import PROGRAM_PATH
from tests.factories import make_stream
from tests.ports import free_port, is_listening
from tests.waiting import wait_until

SPAM = Rendered(
    "CHEAP VIAGRA!!! ACT NOW", "<p>Buy Viagra now, cheap.</p>", "Buy Viagra now, cheap."
)
SOUND = Rendered(
    "Your order has left our house",
    "<html><body><p>Dear Ada, your parcel is on its way.</p></body></html>",
    "Dear Ada, your parcel is on its way.",
)
# rspamd's own rules take half a minute to compile; these show what one is, with and without a word on it
RULES = """
rspamd_config:register_symbol({ name = "SUBJECT_SHOUTS", score = 6.5, description = "All capitals",
  callback = function(task) local s = task:get_subject() return s == s:upper() end })
rspamd_config:register_symbol({ name = "SPEAKS_OF_DRUGS", score = 2.25,
  callback = function(task) return tostring(task:get_content()):find("Viagra") ~= nil end })
rspamd_config:register_symbol({ name = "HAS_WORDS", score = -0.5,
  callback = function(task) return #task:get_text_parts() > 0 end })
"""
CONFIG = """
options {{ pidfile = "{0}/pid"; filters = "chartable"; disable_hyperscan = true; tempdir = "{0}";
  url_tld = "/usr/share/rspamd/effective_tld_names.dat"; dns {{ nameserver = ["127.0.0.1:1"]; }} }}
lua = "{0}/rules.lua"; logging {{ type = "console"; level = "error"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
worker "normal" {{ bind_socket = "127.0.0.1:{1}"; count = 1; }}
"""


@contextmanager
def running(port, *command):
    """Run a server until it is done with; it is there once its port is open."""
    server = subprocess.Popen(
        [shutil.which(command[0], path=PROGRAM_PATH), *command[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PATH": PROGRAM_PATH},
        start_new_session=True,
    )
    try:
        wait_until(lambda: is_listening(port), seconds=60, what=command[0])
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def spamd(tmp_path_factory):
    port, home = free_port(), tmp_path_factory.mktemp("spamd")
    home.chmod(0o777)
    unprivileged = ["--username", "nobody"] if os.geteuid() == 0 else []
    options = ["--local", "--nouser-config", "--max-children", "1", "--helper-home-dir", str(home)]
    listening = ["--port", str(port), "--listen", "127.0.0.1"]
    with running(port, "spamd", *options, *listening, *unprivileged) as listener:
        yield listener


@pytest.fixture(scope="module")
def rspamd(tmp_path_factory):
    port, home = free_port(), tmp_path_factory.mktemp("rspamd")
    (home / "rules.lua").write_text(RULES)
    (home / "rspamd.conf").write_text(CONFIG.format(home, port))
    with running(port, "rspamd", "-f", "-i", "-c", str(home / "rspamd.conf")) as listener:
        yield listener


@pytest.fixture
def ask(settings):
    """Return a function that asks about a mail with filters at these places."""
    cache.clear()

    def asked(mail, **places):
        pairs = {place.rpartition(":") for place in places.values()}
        settings.MAILOPS_TRUSTED_RELAYS = {(host, int(port)) for host, _, port in pairs}
        settings.MAILOPS_SPAMD = places.get("spamd", "")
        settings.MAILOPS_RSPAMD = places.get("rspamd", "")
        return ask_filters(mail)

    return asked


def points(problem):
    return {
        name: float(worth) for name, worth in re.findall(r"([A-Z]\w+) (\d+(?:\.\d+)?)", problem)
    }


class TestSpamAssassin:
    pytestmark = pytest.mark.needs("spamd")

    def test_names_its_rules_with_their_points(self, ask, spamd):
        (problem,) = ask(SPAM, spamd=spamd)
        named = points(problem.sentence.partition(": ")[2])
        assert {"DRUG_ED_CAPS", "SUBJ_ALL_CAPS"} <= set(named)
        assert list(named.values()) == sorted(named.values(), reverse=True)
        assert "of 5" in problem.sentence
        assert "DRUG_ED_CAPS: BODY: Mentions an E.D. drug" in problem.why

    def test_takes_points_without_a_fraction(self, ask, spamd):
        gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
        (problem,) = ask(Rendered("Hi", f"<p>{gtube}</p>", gtube), spamd=spamd)
        assert "GTUBE 1000" in problem.sentence
        assert problem.severity == "warning"

    def test_has_nothing_against_a_sound_mail(self, ask, spamd):
        (problem,) = ask(SOUND, spamd=spamd)
        assert (problem.rule, problem.severity) == ("spam.score", "info")


class TestRspamd:
    pytestmark = pytest.mark.needs("rspamd")

    def test_names_its_rules_with_their_points(self, ask, rspamd):
        (problem,) = ask(SPAM, rspamd=rspamd)
        assert problem.sentence == (
            "rspamd gives 8.25 points of 15: SUBJECT_SHOUTS 6.5, SPEAKS_OF_DRUGS 2.25."
        )
        assert problem.why == "SUBJECT_SHOUTS: All capitals."
        assert problem.severity == "warning"

    def test_has_nothing_against_a_sound_mail(self, ask, rspamd):
        (problem,) = ask(SOUND, rspamd=rspamd)
        assert (problem.sentence, problem.severity) == ("rspamd gives -0.5 points of 15.", "info")


@contextmanager
def answering(answer):
    """Answer one connection with these octets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def http(body, status=200):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


class TestWhoIsAway:
    @pytest.mark.parametrize("name", ["spamd", "rspamd"])
    def test_is_a_finding_and_no_pass(self, ask, name):
        (problem,) = ask(SOUND, **{name: "127.0.0.1:1"})
        assert (problem.rule, problem.severity) == ("spam.unasked", "warning")
        assert "could not be asked" in problem.sentence

    @pytest.mark.parametrize(
        ("name", "answer"),
        [
            ("spamd", b""),
            ("spamd", b"SPAMD/1.5 76 EX_PROTOCOL\r\n\r\n"),
            ("spamd", b"SPAMD/1.5 0 EX_OK\r\n\r\nnothing of points"),
            ("rspamd", b"nonsense\r\n\r\n"),
            ("rspamd", http(b"{}", 500)),
            ("rspamd", http(b"[]")),
            ("rspamd", http(b'{"score": "x", "required_score": 1}')),
            ("rspamd", http(json.dumps({"error": "no classifier"}).encode())),
        ],
    )
    def test_is_who_answers_nonsense(self, ask, name, answer):
        with answering(answer) as place:
            (problem,) = ask(SOUND, **{name: place})
        assert problem.rule == "spam.unasked"

    def test_takes_nothing_from_the_other(self, ask):
        with answering(
            http(b'{"score":1,"required_score":9,"action":"no action","symbols":{}}')
        ) as place:
            away, there = ask(SOUND, spamd="127.0.0.1:1", rspamd=place)
            # the answer that is kept needs no filter, the one that never came is asked for again
            again = ask(SOUND, spamd="127.0.0.1:1", rspamd=place)
        assert (away.rule, there.sentence) == ("spam.unasked", "rspamd gives 1 points of 9.")
        assert again == [away, there]


class TestPublishing:
    def test_needs_a_nod_where_no_filter_answers_and_fails_a_stream_that_requires_one(
        self, logged_in, editor, settings
    ):
        cache.clear()
        settings.MAILOPS_SPAMD = "127.0.0.1:1"
        settings.MAILOPS_TRUSTED_RELAYS = {("127.0.0.1", 1)}
        html = '<p>Hi</p><a href="{{ unsubscribe_url }}">Unsubscribe</a>'
        template = MailTemplate.objects.create(name="T", draft_subject="Hi", draft_html=html)
        client, address = logged_in(editor), reverse("content:publish", args=[template.pk])
        page = client.post(address).content.decode()
        assert "SpamAssassin could not be asked" in page
        assert client.post(address, {"nod": "on"}).status_code == 302
        stream = make_stream()
        gating.require(stream=stream, gates=["spam"], actor=editor)
        version = template.latest_version
        assert "could not be asked" in gating.objections(version, stream)["spam"]

    def test_asks_for_each_language(self, db, monkeypatch, settings):
        settings.MAILOPS_SPAMD, asked = "127.0.0.1:1", []

        def ask(message):
            asked.append(message)
            return Verdict(0, 5, is_spam=False, rules=())

        monkeypatch.setattr(spam, "_FILTERS", [("It", "MAILOPS_SPAMD", ask)])
        template = MailTemplate.objects.create(name="T", draft_subject="Hi", draft_html="<p>Hi</p>")
        template.variants.create(language="de", draft_subject="Hallo", draft_html="<p>Hallo</p>")
        found = ask_outside(template, *look_at_draft(template)).problems
        assert [problem.language for problem in found] == ["", "de"]
        assert [b"Hallo" in message for message in asked] == [False, True]

    def test_keeps_what_was_found_in_each_language(self, db, editor):
        template = MailTemplate.objects.create(name="T", draft_subject="Hi", draft_html="<p>Hi</p>")
        template.variants.create(language="de", draft_subject="Hallo", draft_html="<p>Hallo</p>")
        version = publish(template, editor)
        said = {(each["language"], each["rule"]) for each in version.findings}
        assert {("", "mail.unsubscribe"), ("de", "mail.unsubscribe")} <= said
