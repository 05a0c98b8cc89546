import json
import os
import signal
import socket
import subprocess
import sys
from io import StringIO

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from mailops.domains.demo_zones import MAILBOX_EXCHANGES, demo_zones, made_keys
from mailops.domains.models import Domain
from mailops.domains.signing_keys import make_key
from mailops.lib.mailbox_providers import ProviderCache
from mailops.lib.resolver import Resolver
from tests.factories import make_domain

pytestmark = pytest.mark.django_db


def check(*arguments):
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_domain", *arguments, stdout=out)
    return ended.value.code, out.getvalue()


class TestCheckDomainCommand:
    def test_prints_one_object_with_every_check(self, good):
        code, out = check(
            "acme.example", "--nameserver", good.address, "--selector", "s1", "--json"
        )
        said = json.loads(out)
        assert code == 0
        assert said["domain"] == "acme.example"
        assert {one["check"] for one in said["checks"]} >= {
            "spf",
            "dkim:s1",
            "dmarc",
            "mx",
            "alignment",
        }
        assert set(said["checks"][0]) == {"check", "status", "finding", "fix", "rfc", "evidence"}
        assert not Domain.objects.exists()

    def test_a_finding_is_1_and_a_warning_too_where_that_is_asked_for(self, good):
        good.zones["acme.example"]["MX"] = []
        arguments = ["acme.example", "--selector", "s1"]
        assert check(*arguments)[0] == 0
        assert check(*arguments, "--fail-on", "warning")[0] == 1
        del good.zones["_dmarc.acme.example"]
        assert check(*arguments)[0] == 1

    def test_silence_is_2(self, good):
        good.is_failing = True
        code, out = check("acme.example", "--nameserver", good.address)
        assert code == 2
        assert "could not be asked" in out

    def test_takes_the_requirements_of_a_known_domain(self, good):
        make_domain(name="acme.example").requirements.create(
            kind="dkim_selector", host="gone", needed_by="x"
        )
        assert check("acme.example")[0] == 1

    @pytest.mark.parametrize("form", [[], ["--json"]])
    def test_a_stranger_gets_no_advice_that_needs_a_page(self, dns, form):
        dns.zones["stranger.example"] = {"MX": ["10 mail.stranger.example"]}
        _, said = check("stranger.example", *form)
        assert "Name the selector that its mail is signed with by --selector." in said
        assert "name its DKIM selector by --selector" in said
        assert "for each that sends for it" in said
        for unknown in ("Also expect", "stream", "transport"):
            assert unknown not in said

    def test_a_domain_of_ours_gets_the_advice_of_its_page(self, dns):
        make_domain(name="acme.example")
        dns.zones["acme.example"] = {"MX": ["10 mail.acme.example"]}
        _, said = check("acme.example")
        assert said.count("under “Also expect” on the domain's page") == 2
        assert "--selector" not in said

    def test_a_domain_of_ours_is_told_nothing_of_a_page_that_a_terminal_is_not(self, dns, settings):
        settings.MAILOPS_RETURN_PATH_HOST = "bounces.localhost"
        make_domain(name="acme.example")
        dns.zones["acme.example"] = {"MX": ["10 mail.acme.example"]}
        _, said = check("acme.example")
        assert "Then mailops says which record to publish." in said
        assert "then mailops says which MX it needs." in said
        for unfit in ("this page", "stands here"):
            assert unfit not in said

    @pytest.mark.parametrize(
        "arguments", [["no domain"], [""], ["."], ["a.example", "--nameserver", "x:y"]]
    )
    def test_nonsense_is_2(self, arguments):
        with pytest.raises(CommandError) as error:
            call_command("check_domain", *arguments)
        assert error.value.returncode == 2


class TestDemo:
    def test_the_good_are_well_and_the_broken_one_is_broken(self, dns, settings):
        settings.MAILOPS_RETURN_PATH_HOST = "bounces.acme.example"
        for name in ("acme.example", "news.acme.example"):
            make_key(domain=make_domain(name=name), algorithm="rsa", selector="s1")
        dns.zones.update({**demo_zones(), **made_keys()})
        assert check("acme.example", "--selector", "s1", "--fail-on", "warning")[0] == 0
        assert check("news.acme.example", "--selector", "s1", "--fail-on", "warning")[0] == 0
        assert check("shop.demo.example", "--selector", "s1")[0] == 1

    def test_recipients_have_the_providers_that_charts_show(self, dns, asks):
        dns.zones.update(demo_zones())
        found = ProviderCache(asks).providers(MAILBOX_EXCHANGES)
        assert found["googly.example"] == "gmail"
        assert found["outlooky.example"] == "outlook"
        assert len(set(found.values())) == len(MAILBOX_EXCHANGES)

    def test_the_server_answers_until_it_is_stopped(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo_nameserver", "--listen", f"127.0.0.1:{port}"],
            cwd=django_settings.BASE_DIR,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        assert "is ready" in process.stdout.readline()
        asks = Resolver((("127.0.0.1", port),))
        assert asks("acme.example", "TXT").is_found
        assert asks("elsewhere.example", "TXT").status.value == "nxdomain"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        process.stdout.close()

    def test_it_listens_where_the_demo_asks_whatever_else_is_asked(self, settings):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            here = f"127.0.0.1:{taken.getsockname()[1]}"
            settings.MAILOPS_NAMESERVERS = ["192.0.2.1:53"]
            settings.MAILOPS_DEMO_NAMESERVER = here
            with pytest.raises(CommandError, match=f"Can't listen on {here}"):
                call_command("demo_nameserver")

    @pytest.mark.parametrize("listen", ["0.0.0.0:5300", "nonsense:x"])
    def test_it_listens_on_loopback_only(self, listen):
        with pytest.raises(CommandError):
            call_command("demo_nameserver", "--listen", listen)
