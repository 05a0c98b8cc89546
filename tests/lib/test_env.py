import shutil
import sys
from base64 import b64encode

import pytest
from django.conf import settings

from mailops.content.gates.clients import CLIENTS
from mailops.lib import env as parse
from mailops.lib.env import Environment, WrongSettings

KEY = b64encode(b"k" * 32).decode()


class TestEnvironment:
    def test_gives_the_default_where_a_value_is_unset_or_blank(self):
        env = Environment({"A": "  "})
        assert env.read("A", int, 1, fix="") == 1
        assert env.read("B", int, 2, fix="") == 2
        env.finish()

    def test_reports_every_wrong_value_at_once_with_its_fix(self):
        env = Environment({"PORT": "http", "MAILOPS_DEMO": "maybe"})
        env.read("PORT", parse.port_number, 8000, fix="give a free port")
        env.read("MAILOPS_DEMO", parse.flag, default=False, fix="set it to 1 or 0")
        with pytest.raises(WrongSettings) as wrong:
            env.finish()
        assert str(wrong.value).splitlines()[1:] == [
            "- PORT: “http” is no port; ports are 1 to 65535. Fix: give a free port",
            "- MAILOPS_DEMO: “maybe” is neither 1 nor 0. Fix: set it to 1 or 0",
        ]

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("MAILOPS_BASEURL", "MAILOPS_BASE_URL"),
            ("MAILOPS_BASE_URLS", "MAILOPS_BASE_URL"),
            ("MAILOPS_PORT", "PORT"),
        ],
    )
    def test_names_what_is_misspelt(self, written, meant):
        env = Environment({written: "https://mail.example.com"})
        env.read("MAILOPS_BASE_URL", parse.base_url, "", fix="")
        env.read("PORT", parse.port_number, 8000, fix="")
        with pytest.raises(
            WrongSettings, match=f"{written}: there is no such setting. Fix: write {meant}$"
        ):
            env.finish()

    @pytest.mark.parametrize(
        "name", ["MAILOPS_BACKUP_FOLDER", "BASE_URL", "MAILOPS_SECRET_BASE_URL"]
    )
    def test_leaves_alone_what_others_read(self, name):
        env = Environment({name: "x"})
        env.read("MAILOPS_BASE_URL", parse.base_url, "", fix="")
        env.read("MAILOPS_SECRET_BASE_URLS", str, "", fix="")
        env.finish()

    def test_leaves_alone_what_kubernetes_tells_of_a_service_of_this_name(self):
        at = {"MAILOPS_PORT": "tcp://10.0.0.11:80", "MAILOPS_PORT_80_TCP": "tcp://10.0.0.11:80"}
        env = Environment({**at, "MAILOPS_SERVICE_HOST": "10.0.0.11", "MAILOPS_SERVICE_PORT": "80"})
        env.read("PORT", parse.port_number, 8000, fix="")
        env.finish()


class TestShares:
    def test_are_percents_of_names_that_there_are(self):
        assert parse.shares_of("gmail", "yahoo")("gmail=40, yahoo = 12.5") == {
            "gmail": 40,
            "yahoo": 12.5,
        }

    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            ("gmail", "“gmail” is not name=percent"),
            ("gmail=many", "“many” is no number from 0 to 100"),
            ("gmale=40", "“gmale” is none of gmail, yahoo"),
            ("gmail=60,yahoo=60", "“gmail=60,yahoo=60” is 120 % together"),
        ],
    )
    def test_are_nothing_else(self, raw, told):
        with pytest.raises(ValueError, match=f"^{told}$"):
            parse.shares_of("gmail", "yahoo")(raw)

    def test_are_of_the_programs_that_gates_know(self):
        assert set(settings.MAILOPS_CLIENT_SHARES) == set(CLIENTS)


class TestDays:
    def test_are_whole_and_at_least_one(self):
        assert parse.days("90") == 90

    @pytest.mark.parametrize("raw", ["0", "-1", "1.5", "ninety", "²", "99999"])
    def test_are_nothing_else(self, raw):
        with pytest.raises(ValueError, match="no number of days"):
            parse.days(raw)


class TestNumbers:
    @pytest.mark.parametrize(("raw", "read"), [("0.1", 0.1), ("5", 5.0), ("1e1", 10.0)])
    def test_are_of_a_range(self, raw, read):
        assert parse.number(least=0.1, most=10)(raw) == read

    @pytest.mark.parametrize("raw", ["0", "-1", "10.1", "nan", "inf", "5 s", "5,5"])
    def test_are_nothing_else(self, raw):
        with pytest.raises(ValueError, match=r"is no number from 0.1 to 10"):
            parse.number(least=0.1, most=10)(raw)


class TestAddresses:
    @pytest.mark.parametrize(
        ("raw", "read"),
        [
            ("127.0.0.1:25", ("127.0.0.1", 25)),
            ("[::1]:2525", ("::1", 2525)),
            ("Relay.Example.COM:587", ("relay.example.com", 587)),
        ],
    )
    def test_reads_host_and_port(self, raw, read):
        assert parse.host_and_port(raw) == read

    @pytest.mark.parametrize(
        "raw",
        [
            *("", "host", "host:", ":25", "::1:25", "host:0", "host:65536", "a host:25", "*:25"),
            *("http://host:25", "[host]:25", "host..example:25", "-host:25"),
        ],
    )
    def test_refuses_what_is_not_host_and_port(self, raw):
        with pytest.raises(ValueError, match=r"is not host:port|is no port"):
            parse.host_and_port(raw)

    def test_reads_pairs_of_relays(self):
        assert parse.host_port_pairs("a.example:25, B.example:26,") == {
            ("a.example", 25),
            ("b.example", 26),
        }

    @pytest.mark.parametrize(
        "raw", ["https://mail.example.com/", "http://127.0.0.1:8000", "http://x.localhost"]
    )
    def test_takes_https_anywhere_and_http_on_this_machine(self, raw):
        assert parse.base_url(raw) == raw.rstrip("/")

    @pytest.mark.parametrize(
        "raw",
        [
            "http://mail.example.com",
            "mail.example.com",
            "ftp://x",
            "https://x/path",
            "https://",
            "https://x:http",
            "https://x:99999",
            "https://x y",
            "https://u:p@x",
            "https://x..y",
            "https://x?",
            "https://x#a",
            "https://[::1",
        ],
    )
    def test_refuses_a_base_url_that_links_can_not_begin_with(self, raw):
        with pytest.raises(ValueError, match=r"public|not an address"):
            parse.base_url(raw)

    @pytest.mark.parametrize(
        "raw",
        [
            "bounces",
            "a b.example",
            "ä.example",
            "a..b",
            "-",
            "-a.example",
            "192.0.2.1",
            f"{'a' * 64}.example",
        ],
    )
    def test_refuses_what_is_no_host_name(self, raw):
        with pytest.raises(ValueError, match="not a host name"):
            parse.host_name(raw)

    @pytest.mark.parametrize("raw", ["a.example", ".a.example", "*", "192.0.2.1", "[::1]", "box"])
    def test_takes_hosts_as_pages_are_called(self, raw):
        assert parse.allowed_hosts(f"{raw}, b.example") == [raw, "b.example"]

    @pytest.mark.parametrize("raw", ["https://a.example", "a.example:443", "a b", "*.a.example"])
    def test_refuses_hosts_that_pages_are_never_called(self, raw):
        with pytest.raises(ValueError, match="not a host name"):
            parse.allowed_hosts(raw)


class TestTrustAnchors:
    def test_are_zones_with_the_digests_of_their_keys(self):
        line = f"example 1 8 2 {'ab' * 32}"
        assert parse.trust_anchors(f"{line},{line}") == [line, line]
        assert parse.trust_anchors("none") == []

    @pytest.mark.parametrize(
        "raw",
        ["x", f". 1 8 2 {'ab' * 31}", f". 99999 8 2 {'ab' * 32}", f"a..b 1 8 2 {'ab' * 32}"],
    )
    def test_are_nothing_else(self, raw):
        with pytest.raises(ValueError, match="is not a trust anchor"):
            parse.trust_anchors(raw)


class TestFiles:
    def test_programs_are_found_by_their_path_or_name(self):
        assert parse.program("sh") == shutil.which("sh")
        assert parse.program(sys.executable) == sys.executable

    @pytest.mark.parametrize("raw", ["/nowhere/chromium", "/tmp"])
    def test_what_can_not_be_started_is_no_program(self, raw):
        with pytest.raises(ValueError, match="is no program that can be started"):
            parse.program(raw)

    def test_folders_hold_what_is_looked_for_in_them(self, tmp_path):
        (tmp_path / "initdb").touch()
        assert parse.folder_with("initdb")(str(tmp_path)) == tmp_path
        with pytest.raises(ValueError, match=r"holds no postgres$"):
            parse.folder_with("initdb", "postgres")(str(tmp_path))

    def test_says_why_a_file_gives_no_certificates(self, tmp_path):
        (tmp_path / "empty.pem").touch()
        with pytest.raises(ValueError, match=r"empty\.pem holds no certificates$"):
            parse.certificates(str(tmp_path / "empty.pem"))
        with pytest.raises(
            ValueError, match=r"gone\.pem can't be read: No such file or directory$"
        ):
            parse.certificates(str(tmp_path / "gone.pem"))


class TestKeys:
    def test_reads_a_list_of_keys(self):
        assert parse.keys(f"{KEY}, {KEY}") == [KEY, KEY]

    def test_reads_named_keys_in_their_order(self):
        assert list(parse.named_keys(f"b:{KEY},a:{KEY}")) == ["b", "a"]

    @pytest.mark.parametrize("raw", ["not base64!", b64encode(b"short").decode(), f"{KEY}x"])
    def test_refuses_a_wrong_key_without_repeating_it(self, raw):
        for read, given in ((parse.keys, raw), (parse.named_keys, f"k:{raw}")):
            with pytest.raises(ValueError, match="a key in it") as wrong:
                read(given)
            assert raw not in str(wrong.value)

    @pytest.mark.parametrize("read", [parse.keys, parse.named_keys])
    def test_refuses_a_list_without_a_key(self, read):
        with pytest.raises(ValueError, match="no key is in it"):
            read(",")

    def test_refuses_two_keys_of_one_name(self):
        with pytest.raises(ValueError, match="two keys in it are called k1"):
            parse.named_keys(f"k1:{KEY},k2:{KEY},k1:{KEY}")

    def test_refuses_a_short_secret(self):
        with pytest.raises(ValueError, match="can be guessed"):
            parse.long_secret("x" * 39)


class TestDatabase:
    def test_reads_every_part_of_a_url(self):
        assert parse.database("postgresql://bob:p%40ss@db.example:5433/mail?sslmode=require") == {
            "NAME": "mail",
            "USER": "bob",
            "PASSWORD": "p@ss",
            "HOST": "db.example",
            "PORT": "5433",
            "OPTIONS": {"sslmode": "require"},
        }

    def test_reads_the_folder_of_a_unix_socket(self):
        assert parse.database("postgresql://bob@/mail?host=/run/pg")["HOST"] == "/run/pg"

    @pytest.mark.parametrize(
        "raw",
        [
            "mysql://u:secret@h/d",
            "postgresql://u:secret@h",
            "postgresql://u:secret@h/d?no=1",
            "postgresql://h:secret/d",
            "postgresql://u:secret@h:99999/d",
        ],
    )
    def test_refuses_without_repeating_the_password(self, raw):
        with pytest.raises(ValueError, match=r"^its? ") as wrong:
            parse.database(raw)
        assert "secret" not in str(wrong.value)

    @pytest.mark.parametrize("raw", ["redis", "kafka://x", "sqs://"])
    def test_refuses_a_broker_that_is_not_tried(self, raw):
        with pytest.raises(ValueError, match="must begin with one of amqp, amqps, pgmq"):
            parse.broker_url(raw)

    @pytest.mark.parametrize("raw", ["redis://h:secret/1", "amqp://u:p@h:99999//"])
    def test_refuses_a_broker_at_no_port(self, raw):
        with pytest.raises(ValueError, match=r"^its port is none; ports are 1 to 65535$"):
            parse.broker_url(raw)
