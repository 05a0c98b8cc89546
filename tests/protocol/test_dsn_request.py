"""What clients ask of notifications is read as RFC 3461 says, and nothing else is."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailops.protocol.dsn_request import (
    MAIL_PARAMETERS,
    RCPT_PARAMETERS,
    Notice,
    NotUnderstood,
    from_xtext,
    read_envid,
    read_notice,
    split_parameters,
    xtext,
)


class TestParameters:
    def test_are_taken_out_of_the_command_with_their_case(self):
        argument = "FROM:<a@b.example> SIZE=10 ret=HDRS ENVID=aB+2Bc BODY=8BITMIME"
        rest, found = split_parameters(argument, MAIL_PARAMETERS)
        assert rest == "FROM:<a@b.example> SIZE=10 BODY=8BITMIME"
        assert found == {"RET": "HDRS", "ENVID": "aB+2Bc"}
        assert read_envid(found) == "aB+c"

    def test_say_what_is_wanted_and_who_it_was_for(self):
        _, found = split_parameters(
            "TO:<a@b.example> NOTIFY=delay,FAILURE ORCPT=rfc822;A+2Bx@b.example", RCPT_PARAMETERS
        )
        notice = read_notice(found)
        assert notice == Notice(frozenset({"FAILURE", "DELAY"}), "rfc822;A+x@b.example")
        assert str(notice) == "DELAY,FAILURE"

    def test_that_are_not_given_ask_for_failures_and_delays(self):
        assert read_notice({}) == Notice()
        assert "FAILURE" in Notice().notify
        assert read_envid({}) == ""

    def test_never_is_no_event_at_all(self):
        assert read_notice({"NOTIFY": "never"}).notify == frozenset()
        assert str(read_notice({"NOTIFY": "NEVER"})) == "NEVER"

    @pytest.mark.parametrize(
        "found",
        [
            {"RET": "ALL"}, {"ENVID": ""}, {"ENVID": "a=b"}, {"ENVID": "a+2"}, {"ENVID": "x" * 101},
            {"ENVID": "a+0Ab"}, {"ENVID": "a+FF"}, {"ENVID": "bøb"},
        ],
    )  # fmt: skip
    def test_of_mail_that_break_the_rfc_are_refused(self, found):
        with pytest.raises(NotUnderstood):
            read_envid(found)

    @pytest.mark.parametrize(
        "found",
        [
            {"NOTIFY": ""}, {"NOTIFY": "NEVER,DELAY"}, {"NOTIFY": "SOMETIMES"}, {"NOTIFY": "DELAY,"},
            {"ORCPT": "a@b.example"}, {"ORCPT": ";a"}, {"ORCPT": "rfc822;"}, {"ORCPT": "rfc822;a+0D+0Ab"},
            {"ORCPT": "rfc822;" + "a" * 500},
        ],
    )  # fmt: skip
    def test_of_rcpt_that_break_the_rfc_are_refused(self, found):
        with pytest.raises(NotUnderstood):
            read_notice(found)

    def test_given_twice_are_refused(self):
        with pytest.raises(NotUnderstood):
            split_parameters("FROM:<a@b> ENVID=1 envid=2", MAIL_PARAMETERS)


class TestXtext:
    @given(st.text(min_size=1).filter(str.isprintable))
    def test_comes_back(self, text):
        assert from_xtext(xtext(text), "ENVID") == text

    @given(st.text())
    def test_never_carries_a_control_character(self, text):
        with suppress(NotUnderstood):
            assert from_xtext(text, "ENVID").isprintable()
