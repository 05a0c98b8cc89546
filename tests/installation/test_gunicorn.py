"""No header of a request says where mailops' addresses begin: proxies hand on whatever their clients send."""

import http.client

import pytest

from tests.installation.webs import PATIENCE, serving


@pytest.fixture
def port(tmp_path):
    """A web as mailops configures it, which says what it takes for its beginning and its path."""
    app = """
        def app(environ, start_response):
            start_response("200 OK", [])
            return [f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]
    """
    configured = "--config=python:mailops.installation.gunicorn"
    with serving(tmp_path, app, configured, "--no-control-socket") as port:
        yield port


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script_Name", "PATH_INFO"])
def test_no_header_moves_the_addresses(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/x/healthz/", headers={name: "/x"})
    assert connection.getresponse().read() == b" /x/healthz/"
    connection.close()
