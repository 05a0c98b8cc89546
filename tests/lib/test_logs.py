import json
import logging
from urllib.parse import quote, unquote

import pytest

from mailops.lib.logs import AsJson, Masking, password_in


def record(text, *arguments, **extra):
    made = logging.makeLogRecord({"name": "x", "msg": text, "args": arguments, "levelname": "INFO"})
    vars(made).update(extra)
    return made


class TestMasking:
    def test_hides_every_known_secret(self):
        line = Masking(secrets=["hunter2", "hunter2-long"]).format(record("a %s b", "hunter2-long"))
        assert line == "a … b"

    def test_hides_secrets_in_traces(self):
        trace = (ValueError, ValueError("postgresql://u:hunter2@h"), None)
        line = Masking(secrets=["hunter2"]).format(record("failed", exc_info=trace))
        assert "postgresql://u:…@h" in line

    @pytest.mark.parametrize("secret", ['pa"zz', "pa\\zz", "pa'\"zz", "päzz", "p%40zz"])
    def test_hides_them_however_they_are_quoted(self, secret):
        plain = unquote(secret)
        said = record("%s %r %s %s", plain, plain, quote(plain), secret, beside={"password": plain})
        for form in (Masking, AsJson):
            line = form(secrets=[secret]).format(said)
            assert "zz" not in line
        assert json.loads(line)["beside"] == {"password": "…"}

    def test_leaves_lines_alone_where_there_is_no_secret(self):
        assert Masking(secrets=["", "abc"]).format(record("abc")) == "abc"


class TestAsJson:
    def test_is_one_object_a_line_with_what_was_given_beside_the_text(self):
        line = AsJson(secrets=["hunter2"]).format(record("hunter2\nleft", campaign=7))
        assert "\n" not in line
        told = json.loads(line)
        assert (told["text"], told["campaign"], told["level"]) == ("…\nleft", 7, "info")


def test_finds_the_password_of_a_url():
    assert password_in("redis://:hunter2@localhost/1") == "hunter2"
    assert password_in("pgmq://database") == ""
