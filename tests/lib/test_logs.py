import json
import logging
from urllib.parse import quote, unquote

import pytest

from mailops.lib.logs import AsJson, ClientsFault, Masking, password_in


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


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=\xff", b"x"),
        ("application/x-www-form-urlencoded", b"a=1&" * 5000),
    ],
)
def test_a_request_that_nobody_could_answer_costs_no_trace(client, caplog, kind, body):
    assert client.post("/accounts/login/", body, content_type=kind).status_code in {400, 403}
    assert caplog.records
    for one in caplog.records:
        assert (one.levelname, one.exc_info) == ("WARNING", None)


def test_an_error_of_ours_keeps_its_trace():
    trace = (ValueError, ValueError("x"), None)
    said = record("failed", exc_info=trace, name="django.request", status_code=500)
    assert ClientsFault().filter(said)
    assert said.exc_info == trace
