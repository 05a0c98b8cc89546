"""A request for a host that is not ours costs the log one line a minute, whoever sends thousands."""

import logging

import pytest

from mailops.lib.wrong_hosts import OneLineAMinute


@pytest.fixture
def unspoken(monkeypatch):
    """No line was let through yet, whatever other tests asked for; nor is the filter there twice, where one set logging up."""
    logger = logging.getLogger("django.security.DisallowedHost")
    assert any(isinstance(one, OneLineAMinute) for one in logger.filters)
    monkeypatch.setattr(logger, "filters", [OneLineAMinute()])


def lines_of(caplog):
    return [(one.levelname, one.getMessage()) for one in caplog.records]


@pytest.mark.django_db
class TestARequestForAWrongHost:
    def test_is_told_in_one_line_without_a_trace(self, client, caplog, unspoken):
        for _ in range(3):
            assert client.get("/", headers={"host": "evil.example"}).status_code == 400
        (record,) = caplog.records
        assert record.exc_info is None
        assert lines_of(caplog) == [
            (
                "WARNING",
                (
                    "A request for the host 'evil.example' was refused, since that is not mailops'. "
                    "If it should be, name it in MAILOPS_ALLOWED_HOSTS."
                ),
            )
        ]

    @pytest.mark.parametrize("host", ["a" * 5_000, "evil\r\nx: y", "\xff\udce9", "%s%(x)d", ""])
    def test_is_told_in_a_short_line_whatever_the_host_is(self, host, rf, caplog, unspoken):
        request = rf.get("/", headers={"host": host})
        logger = logging.getLogger("django.security.DisallowedHost")
        logger.error("Invalid", extra={"status_code": 400, "request": request})
        ((_, line),) = lines_of(caplog)
        assert len(line) < 300
        assert "\n" not in line
        assert "\r" not in line

    def test_leaves_other_refusals_their_lines(self, client, caplog):
        assert client.get("/nowhere/").status_code == 404
        assert client.generic("POST", "/", b"a", "a/b; charset=hex").status_code == 400
        assert [level for level, _ in lines_of(caplog)] == ["WARNING", "WARNING"]


def test_after_a_minute_the_next_tells_how_many_there_were():
    now = 0.0
    told = OneLineAMinute(clock=lambda: now)

    def tell():
        record = logging.makeLogRecord({"msg": "Invalid HTTP_HOST header", "levelno": 40})
        return record.getMessage() if told.filter(record) else ""

    assert tell()
    assert [tell() for _ in range(1_234)] == [""] * 1_234
    now = 60.0
    assert tell().endswith("It is the last of 1,235 since this was last said.")
    assert tell() == ""
    now = 120.0
    assert tell().endswith("It is the last of 2 since this was last said.")
