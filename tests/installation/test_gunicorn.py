"""No header of a request says where mailops' addresses begin: proxies hand on whatever their clients send."""

import http.client
import subprocess
import sys
import textwrap

import pytest

from tests.ports import free_port, is_listening
from tests.waiting import wait_until

PATIENCE = 30


@pytest.fixture
def port(tmp_path):
    """A web as mailops configures it, which says what it takes for its beginning and its path."""
    (tmp_path / "echo.py").write_text(
        textwrap.dedent("""
            def app(environ, start_response):
                start_response("200 OK", [])
                return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]
        """)
    )
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "echo:app", f"--bind=127.0.0.1:{port}"),
            *("--config=python:mailops.installation.gunicorn", "--no-control-socket"),
            *(f"--pythonpath={tmp_path},.", "--log-level=warning"),
        ]
    )
    try:
        wait_until(lambda: is_listening(port), seconds=PATIENCE, what="gunicorn")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script_Name", "PATH_INFO"])
def test_no_header_moves_the_addresses(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/x/healthz/", headers={name: "/x"})
    assert connection.getresponse().read() == b" /x/healthz/"
    connection.close()
