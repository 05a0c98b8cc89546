"""Slow clients hold no thread of the web: a request has one once it is here."""

import socket
from contextlib import ExitStack

import pytest

from mailops.feedback.intake import MAX_WEBHOOK
from mailops.installation.patient_worker import LARGE, LONGEST_HEAD, missing_in
from tests.installation.webs import PATIENCE, serving

HEAD = b"POST /x HTTP/1.1\r\nHost: h\r\n"


class TestWhatHasCome:
    @pytest.mark.parametrize(
        "whole",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            HEAD + b"Content-Length: 3\r\n\r\nabc",
            HEAD + b"CONTENT-LENGTH:3\r\nX: y\r\n\r\nabcGET / HTTP/1.1\r\n",
            HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"x" * LONGEST_HEAD,
            HEAD + b"Content-Length: 9999999\r\n\r\n",
            HEAD + b"Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"x" * (LARGE + 9),
        ],
    )
    def test_is_to_be_read_where_it_is_whole_or_too_large(self, whole):
        assert missing_in(whole) == 0

    @pytest.mark.parametrize(
        ("part", "missing"),
        [
            (b"G", 1),
            (HEAD, 1),
            (HEAD + b"Content-Length: 3\r\n\r\nab", 1),
            (HEAD + b"Content-Length: 2999999\r\n\r\nab", 2_999_997),
            (HEAD + b"Content-Length: 99\r\nExpect: 100-continue\r\n\r\n", 99),
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nab", 1),
        ],
    )
    def test_is_waited_for_where_some_is_missing(self, part, missing):
        assert missing_in(part) == missing

    def test_is_held_where_anybody_may_send_it(self, settings):
        assert max(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, MAX_WEBHOOK) <= LARGE


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A web of two threads that says how long a body was."""
    app = """
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/large":
                start_response("200 OK", [("Content-Length", "3000000")])
                return [b"x" * 3_000_000]
            if environ["PATH_INFO"] == "/unread":
                start_response("413 Too large", [("Content-Length", "1")])
                return [b"9"]
            size = len(environ["wsgi.input"].read())
            start_response("200 OK", [("Content-Length", str(len(str(size))))])
            return [str(size).encode()]
    """
    worker = "--worker-class=mailops.installation.patient_worker.PatientWorker"
    folder = tmp_path_factory.mktemp("web")
    with serving(folder, app, worker, "--threads=2", "--worker-connections=140") as port:
        yield port


@pytest.fixture
def slow(port):
    """Return a function that opens connections which say that much and then wait."""
    with ExitStack() as stack:

        def connect(number, said):
            opened = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
                for _ in range(number)
            ]
            for one in opened:
                one.sendall(said)
            return opened

        yield connect


def answer_of(connection):
    """Return an answer whose body is of one octet, which may come by itself."""
    answer = b""
    while not answer.partition(b"\r\n\r\n")[2] and (part := connection.recv(65536)):
        answer += part
    return answer


def ask(port, body=b"abc"):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return answer.rpartition(b"\r\n\r\n")[2]


class TestSlowClients:
    @pytest.mark.parametrize(
        "said",
        [
            b"",
            HEAD,
            HEAD + b"Content-Length: 1000\r\n\r\nab",
            HEAD + b"Content-Length: 1000000\r\n\r\n" + b"a" * 66_000,
            HEAD + b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\na",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\na",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n" * 3,
            b"GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        ],
    )
    def test_hold_up_nobody(self, said, port, slow):
        slow(8, said)
        assert ask(port) == b"3"

    def test_that_are_too_many_make_room(self, port, slow):
        slow(150, b"")
        assert ask(port) == b"3"

    def test_are_answered_once_they_have_said_all(self, port, slow):
        (one,) = slow(1, HEAD)
        for part in (b"Content-", b"Length: 5\r\n", b"\r\nab", b"cde"):
            one.sendall(part)
        assert answer_of(one).endswith(b"\r\n\r\n5")
        one.sendall(HEAD + b"Content-Length: 2\r\n\r\n")  # and again over the same connection
        one.sendall(b"xy")
        assert answer_of(one).endswith(b"\r\n\r\n2")

    @pytest.mark.parametrize("size", [200_000, LARGE, 9_000_000])
    def test_with_large_bodies_are_read(self, size, port):
        assert ask(port, b"x" * size) == str(size).encode()

    @pytest.mark.parametrize(("size", "keeps"), [(LARGE, b"keep-alive"), (LARGE + 1, b"close")])
    def test_are_told_whether_they_may_go_on_behind_their_body(self, size, keeps, port, slow):
        (one,) = slow(1, HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
        assert b"\r\nConnection: " + keeps + b"\r\n" in answer_of(one)

    def test_two_requests_at_once_have_both_answers(self, port, slow):
        (one,) = slow(1, (HEAD + b"Content-Length: 2\r\n\r\nab") * 2)
        answered = b""
        while answered.count(b"HTTP/1.1 200") < 2:
            answered += one.recv(65536)

    def test_that_say_whether_to_go_on_are_asked_once(self, port, slow):
        (one,) = slow(1, HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert one.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(b"abc")
        assert answer_of(one).startswith(b"HTTP/1.1 200")

    def test_get_the_whole_of_a_large_answer(self, port, slow):
        (one,) = slow(1, b"GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert ask(port) == b"3"
        answer = b"".join(iter(lambda: one.recv(65536), b""))
        assert answer.rpartition(b"\r\n\r\n")[2] == b"x" * 3_000_000

    def test_whose_body_is_not_read_hear_so(self, port):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            head = HEAD.replace(b"/x", b"/unread") + b"Content-Length: 99999999\r\n\r\n"
            connection.sendall(head + b"x" * 200_000)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 413")
