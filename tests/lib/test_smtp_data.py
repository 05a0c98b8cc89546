"""A mail is found whole however its octets come, and one that is dropped takes no room."""

import tracemalloc

import pytest

from mailops.lib.smtp_data import MailData

MAILS = {
    b".\r\n": b"",
    b"\r\n.\r\n": b"\r\n",
    b"a\r\n.\r\n": b"a\r\n",
    b"..\r\n.\r\n": b".\r\n",
    b"..a\r\n.b\r\n...\r\n.\r\n": b".a\r\nb\r\n..\r\n",
    b"a\n.\n\r\n.\n.\r\r\n.\r\n": b"a\n.\n\r\n\n.\r\r\n",  # neither LF nor CR alone ends a line
    b"a\r\n.b\r\n\r\n..\r\n\r\n.\r\n": b"a\r\nb\r\n\r\n.\r\n\r\n",
}
NEXT = b"MAIL FROM:<>\r\n.\r\n"


def fed(data, chunks):
    """Feed until the end comes; return all that came after it."""
    rest = None
    for number, chunk in enumerate(chunks):
        if (rest := data.feed(chunk)) is not None:
            return rest + b"".join(chunks[number + 1 :])
    return rest


@pytest.mark.parametrize("told", MAILS)
def test_a_mail_ends_where_it_ends_however_it_comes(told):
    octets = told + NEXT
    ways = [[octets[n : n + 1] for n in range(len(octets))]]
    ways += [[octets[:n], octets[n:]] for n in range(len(octets))]
    for chunks in ways:
        data = MailData()
        assert fed(data, chunks) == NEXT
        assert data.size == len(told)
        assert data.take() == MAILS[told]


def test_a_mail_without_an_end_has_none():
    data = MailData()
    assert data.feed(b"a\r\n\n.\r\n\r\n.\n..\r\n.") is None


@pytest.mark.parametrize("told", MAILS)
def test_of_one_that_is_dropped_the_end_is_found(told):
    octets = b"x" * 100 + b"\r\n" + told + NEXT
    for dropped_at in range(100 + len(told)):
        data = MailData()
        assert data.feed(octets[:dropped_at]) is None
        data.drop()
        assert data.feed(octets[dropped_at:]) == NEXT


def test_one_that_is_dropped_takes_no_room():
    data = MailData()
    data.drop()
    for _ in range(100):
        data.feed(b"x" * 1000)
    assert (data.size, len(data._kept)) == (100_000, 4)


def test_lines_of_nothing_take_no_more_room_than_others():
    data = MailData()
    tracemalloc.start()
    try:
        for _ in range(100):
            data.feed(b"\r\n" * 5_000)
        data.feed(b".\r\n")
        assert not data.has_line_over(1000)
        assert len(data.take()) == 1_000_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("told", "is_over"),
    [
        (b"", False),
        (b"12345678\r\n" * 9, False),
        (b"123456789\r\n", True),
        (b"1\r\n" * 9 + b"123456789\r\n" + b"1\r\n" * 9, True),
        (b"1\r\n" * 9 + b"12345678\r\n" + b"1\r\n", False),
        (b"1234\n6789\r\n", True),
    ],
)
def test_lines_are_measured_with_their_ends(told, is_over):
    data = MailData()
    data.feed(told + b".\r\n")
    assert data.has_line_over(10) is is_over
