from base64 import b64encode

import pytest

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

    @pytest.mark.parametrize("raw", ["", "host", "host:", ":25", "::1:25", "host:0", "host:65536"])
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
        ["http://mail.example.com", "mail.example.com", "ftp://x", "https://x/path", "https://"],
    )
    def test_refuses_a_base_url_that_links_can_not_begin_with(self, raw):
        with pytest.raises(ValueError, match=r"public|not an address"):
            parse.base_url(raw)

    @pytest.mark.parametrize("raw", ["bounces", "a b.example", "ä.example", "a..b", "-"])
    def test_refuses_what_is_no_host_name(self, raw):
        with pytest.raises(ValueError, match="not a host name"):
            parse.host_name(raw)


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
        "raw", ["mysql://u:secret@h/d", "postgresql://u:secret@h", "postgresql://u:secret@h/d?no=1"]
    )
    def test_refuses_without_repeating_the_password(self, raw):
        with pytest.raises(ValueError, match="it ") as wrong:
            parse.database(raw)
        assert "secret" not in str(wrong.value)

    @pytest.mark.parametrize("raw", ["redis", "kafka://x", "sqs://"])
    def test_refuses_a_broker_that_is_not_tried(self, raw):
        with pytest.raises(ValueError, match="must begin with one of amqp, amqps, pgmq"):
            parse.broker_url(raw)
