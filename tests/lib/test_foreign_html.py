"""Foreign HTML in a frame, without what connects to other hosts."""

import shutil
import socket
import subprocess

import pytest

from mailops.lib.foreign_html import POLICY, without_connections
from tests.http_server import HttpServer, QuietHandler


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p>a</p><iframe src=//x>b</iframe>", "<p>a</p><x-iframe src=//x>b</iframe>"),
        ("<IFrame/src=//x>", "<x-IFrame/src=//x>"),
        ("<frameset><frame src=//x>", "<x-frameset><x-frame src=//x>"),
        ('<iframe srcdoc="<iframe src=//x>">', '<x-iframe srcdoc="<x-iframe src=//x>">'),
        ("a < iframe, a<b", "a < iframe, a<b"),
        ("<LINK rel=preconnect href=//x><link/href=//x>", "<meta rel=preconnect href=//x><meta/href=//x>"),
        ("<link>a<linked>b", "<meta>a<linked>b"),
    ],
)  # fmt: skip
def test_loses_frames_and_links_alone(html, shown):
    assert without_connections(html) == shown


class Page(QuietHandler):
    """Foreign HTML under the policy that it is shown under."""

    html = ""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", POLICY.format(""))
        self.end_headers()
        self.wfile.write(without_connections(self.html).encode())


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(
    "html",
    ["<p>Hi</p><iframe src='{}'></iframe>", "<head><link rel='preconnect' href='{}'></head>Hi"],
)
def test_a_browser_connects_to_nobody_for_it(html, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        address = stranger.getsockname()
        page = type("Served", (Page,), {"html": html.format(f"http://127.0.0.1:{address[1]}/")})
        with HttpServer(page) as server:
            command = [
                shutil.which("chromium") or "chromium",
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
                *("--virtual-time-budget=3000", f"--user-data-dir={tmp_path}", "--dump-dom"),
                f"http://127.0.0.1:{server.port}/",
            ]
            shown = subprocess.run(command, capture_output=True, timeout=60, check=True)
        assert b"Hi" in shown.stdout
        with socket.create_connection(address) as ours:
            first, came_from = stranger.accept()
            first.close()
            assert came_from == ours.getsockname()
