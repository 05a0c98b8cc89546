import socket
import threading
import time

import pytest

from mailops.lib.egress import EgressFault
from mailops.lib.fetching import fetch
from tests.smtp_server import CertificateAuthority, SmtpServer


@pytest.fixture
def answering(settings):
    """Return a function that starts a server with one raw answer and gives its URL and what it heard."""
    listeners = []

    def start(raw, *, drip=0.0, has_body=False):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        port = listener.getsockname()[1]
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})
        heard = []

        def run():
            connection, _ = listener.accept()
            with connection:
                request = b""
                ends = b"{}" if has_body else b"\r\n\r\n"
                while not request.endswith(ends):
                    request += connection.recv(65536)
                heard.append(request)
                for octet in raw if drip else [raw]:
                    try:
                        connection.sendall(bytes([octet]) if drip else octet)
                    except OSError:
                        return
                    time.sleep(drip)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{port}", heard

    yield start
    for listener in listeners:
        listener.close()


class TestFetch:
    def test_returns_status_headers_and_body(self, answering):
        url, heard = answering(
            b"HTTP/1.1 404 No\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi", has_body=True
        )
        answer = fetch(f"{url}/hook?x=1", method="POST", body=b"{}", headers={"X-B": "c"})
        assert (answer.status, answer.headers["x-a"], answer.body) == (404, "b", b"hi")
        assert heard[0].startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
        assert b"X-B: c" in heard[0]
        assert heard[0].endswith(b"{}")

    def test_follows_no_redirect(self, answering):
        url, _ = answering(
            b"HTTP/1.1 302 Go\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n"
        )
        assert fetch(url).status == 302

    def test_reads_no_more_than_it_may(self, answering):
        url, _ = answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000)
        with pytest.raises(EgressFault) as fault:
            fetch(url, max_octets=1000)
        assert fault.value.cause == "too_big"

    @pytest.mark.parametrize("raw", [b"\r\n" + b"x" * 2000, b"Content-Length: 9\r\n\r\nhi"])
    def test_needs_no_body_to_know_the_status(self, raw, answering):
        url, _ = answering(b"HTTP/1.1 200 OK\r\n" + raw)
        answer = fetch(url, max_octets=None)
        assert (answer.status, answer.body) == (200, b"")

    def test_ends_in_time_however_slowly_the_answer_drips(self, answering):
        url, _ = answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500, drip=0.02)
        with pytest.raises(EgressFault) as fault:
            fetch(url, seconds=0.3)
        assert fault.value.cause == "timeout"  # with all that it would read it would be no answer

    def test_needs_no_thread_to_end_in_time(self, answering, monkeypatch):
        url, _ = answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500, drip=0.02)
        monkeypatch.setattr(threading.Thread, "start", lambda _: 1 / 0)
        with pytest.raises(EgressFault) as fault:
            fetch(url, seconds=0.3)
        assert fault.value.cause == "timeout"

    def test_takes_no_part_of_an_answer_for_the_whole(self, answering):
        url, _ = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi")
        with pytest.raises(EgressFault, match="no answer that could be read"):
            fetch(url)

    def test_ends_in_time_however_slowly_the_handshake_drips(self, answering, settings):
        url, _ = answering(b"", drip=0.02)
        with pytest.raises(EgressFault) as fault:
            fetch(url.replace("http:", "https:"), seconds=0.3)
        assert fault.value.cause == "timeout"

    def test_does_not_tell_a_closed_port_from_a_dead_one(self, settings):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", port)})
        with pytest.raises(EgressFault) as fault:
            fetch(f"http://127.0.0.1:{port}/")
        assert (fault.value.cause, fault.value.detail) == (
            "unreachable",
            "127.0.0.1 could not be reached",
        )

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "ftp://example.com",
            "http://",
            "http://u:p@example.com",
            "http://[",
            "file:///x",
            "http://x:99999/",
        ],
    )
    def test_takes_only_http(self, url):
        with pytest.raises(EgressFault) as fault:
            fetch(url)
        assert fault.value.cause == "bad_url"

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/"]
    )
    def test_goes_to_no_private_address(self, url):
        with pytest.raises(EgressFault) as fault:
            fetch(url)
        assert fault.value.cause == "not_allowed"

    def test_wants_a_certificate_it_can_verify(self, settings, tmp_path):
        context = CertificateAuthority(tmp_path).server_context()
        with SmtpServer(tls=context, is_tls_implicit=True) as server:
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
            with pytest.raises(EgressFault) as fault:
                fetch(f"https://127.0.0.1:{server.port}/")
        assert fault.value.cause == "tls"
