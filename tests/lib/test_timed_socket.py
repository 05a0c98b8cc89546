import subprocess
import sys

import pytest
from django.conf import settings

from tests.smtp_server import CertificateAuthority

TALK = """
import sys
if sys.argv[1] == "gevent":
    from gevent import monkey
    monkey.patch_all()
import http.client, socket, ssl, threading
from mailops.lib.timed_socket import TimedSocket

MANY = 3_000_000
keys = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
keys.load_cert_chain(sys.argv[3])
trusting = ssl.create_default_context(cafile=sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0))

def serve():
    connection, _ = listener.accept()
    with keys.wrap_socket(connection, server_side=True) as secured:
        heard = 0
        while heard < MANY:
            heard += len(secured.recv(65536))
        secured.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % MANY + b"x" * MANY)
        secured.recv(1)

threading.Thread(target=serve, daemon=True).start()
connection = trusting.wrap_socket(
    socket.create_connection(listener.getsockname()), server_hostname="127.0.0.1", do_handshake_on_connect=False
)
with connection:
    timed = TimedSocket(connection, 60)
    timed.do_handshake()
    client = http.client.HTTPConnection("localhost")
    client.sock = timed
    client.request("POST", "/", body=b"y" * MANY)
    assert len(client.getresponse().read(2 * MANY)) == MANY
"""


@pytest.mark.parametrize("kind", ["threads", "gevent"])
def test_says_and_hears_more_than_fits_at_once_through_tls(kind, tmp_path):
    """As the worker of bulk mail does, whose sockets are gevent's."""
    authority = CertificateAuthority(tmp_path)
    authority.server_context()
    pem = tmp_path / "127.0.0.1-90.pem"
    done = subprocess.run(
        [sys.executable, "-c", TALK, kind, authority.file, pem],
        capture_output=True,
        text=True,
        check=False,
        cwd=settings.BASE_DIR,
    )
    assert done.returncode == 0, done.stderr
