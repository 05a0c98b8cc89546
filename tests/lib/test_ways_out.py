"""Nothing in mailops connects to other machines but `lib.egress`: read from the code, since a test can't try every way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailops

ROOT = Path(mailops.__file__).parent
OPENERS = {
    "create_connection",
    "open_connection",
    "create_connection_async",
    "urlopen",
    "build_opener",
    "SMTP",
    "SMTP_SSL",
    "LMTP",
    "IMAP4",
    "IMAP4_SSL",
    "HTTPSConnection",
    "HTTPConnection",
    "FTP",
    "Telnet",
    "socket",
}
FORBIDDEN = {"urllib.request", "urllib3", "httpx", "aiohttp", "imaplib", "ftplib", "telnetlib"}
# file → what it may call, and why that is no way out
ALLOWED = {
    "lib/egress.py": ({"create_connection"}, "it is the door"),
    "lib/fetching.py": ({"HTTPConnection"}, "speaks over a socket that egress connected"),
    "lib/http_connection.py": ({"HTTPConnection"}, "speaks over a socket that egress connected"),
    "lib/resolver.py": ({"socket"}, "asks the name servers that the settings name"),
    "lib/supervisor.py": (
        {"create_connection", "socket"},
        "asks children of its own whether they listen",
    ),
    "installation/demands.py": (
        {"create_connection"},
        "has Django connect to the database of the settings once more",
    ),
    "installation/processes.py": (
        {"build_opener"},
        "asks the web process of its own whether it answers",
    ),
    "sandbox/reacting.py": (
        {"SMTP", "HTTPConnection", "HTTPSConnection"},
        "plays providers towards the installation's own receivers",
    ),
    "rollouts/probes/captures.py": ({"SMTP"}, "hands a probe to the installation's own sandbox"),
    "content/scanning.py": ({"socket"}, "asks the virus scanner of this machine, by a Unix socket"),
}

# file → a client that it brings in, and why that is no way out
BROUGHT = {"lib/imap.py": "speaks over a socket that egress connected"}


def calls_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            if name in OPENERS:
                yield name


def imports_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def trees():
    files = [path for path in ROOT.rglob("*.py") if "migrations" not in path.parts]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in files}


class TestWaysOut:
    def test_only_egress_opens_connections(self, trees):
        found = {
            name: calls
            for name, tree in trees.items()
            if (calls := set(calls_in(tree)) - ALLOWED.get(name, (set(), ""))[0])
        }
        assert found == {}

    def test_no_other_client_is_brought_in(self, trees):
        found = {
            name: brought
            for name, tree in trees.items()
            if name not in ALLOWED | BROUGHT and (brought := FORBIDDEN & set(imports_in(tree)))
        }
        assert found == {}

    def test_every_exception_is_still_needed(self, trees):
        assert {name for name in ALLOWED if not set(calls_in(trees[name]))} == set()

    def test_requests_is_only_a_shape_for_anymail(self, trees):
        """Its sessions connect through an adapter of ours; its own functions would not."""
        users = {name for name, tree in trees.items() if "requests" in set(imports_in(tree))}
        assert users == {"transports/kinds/http_api.py"}
        ours = trees["transports/kinds/http_api.py"]
        short = {
            node.func.attr
            for node in ast.walk(ours)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "requests"
        }
        assert short <= {"Request", "Response", "ConnectionError"}
