"""Doubles of providers' APIs on loopback: each answers as its provider documents, and keeps what it was asked."""

import base64
import json
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs

from tests.http_server import HttpServer, QuietHandler

SECRET = "canary-key-0123456789"
USER = "the-user"
OPTIONS: dict[str, dict[str, str]] = {
    "mailgun": {"sender_domain": "mg.example.com", "region": "eu"},
    "mailtrap": {},
    "postmark": {"message_stream": "broadcasts"},
    "scaleway": {"project_id": "11111111-2222-3333-4444-555555555555", "region": "fr-par"},
    "sparkpost": {"region": "eu", "subaccount": "7"},
    "unisender_go": {"region": "go2"},
}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# How each is logged in to: header → value, or the field of its body.
LOGINS = {
    "brevo": ("api-key", SECRET),
    "mailersend": ("authorization", f"Bearer {SECRET}"),
    "mailgun": ("authorization", basic("api", SECRET)),
    "mailjet": ("authorization", basic(USER, SECRET)),
    "mailtrap": ("api-token", SECRET),
    "mandrill": ("", SECRET),
    "postal": ("x-server-api-key", SECRET),
    "postmark": ("x-postmark-server-token", SECRET),
    "resend": ("authorization", f"Bearer {SECRET}"),
    "scaleway": ("x-auth-token", SECRET),
    "sendgrid": ("authorization", f"Bearer {SECRET}"),
    "sparkpost": ("authorization", SECRET),
    "unisender_go": ("x-api-key", SECRET),
}


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        kind = self.headers.get("content-type", "")
        if "multipart" in kind:
            parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body)
            return {
                str(part.get_param("name", header="content-disposition")): str(
                    (part.get_payload(decode=True) or b"").decode()
                )
                for part in parts.get_payload()
            }
        return {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    is_silent: bool = False  # reads, and hangs up without a word


class Double:
    """One origin for every provider; a test says how it answers, else as `accepting` says."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.connections: set[tuple[str, int]] = set()
        self.asked: list[Asked] = []
        self.answer: Answer | None = None
        self.kind = ""
        self.hold: threading.Event | None = None
        double = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                named = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, named, self.rfile.read(length))
                double.asked.append(asked)
                double.connections.add(self.client_address)
                if double.hold is not None:
                    double.hold.wait(10)
                answer = double.answer or accepting(double.kind, asked)
                if answer.is_silent:
                    self.close_connection = True
                    return
                text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
                octets = b"" if answer.body is None else text.encode()
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                with suppress(OSError):  # a test that hung up wants no answer
                    self.wfile.write(octets)

            do_GET = do_POST  # noqa: N815 - http.server's name

        self._http = HttpServer(Handler, tls)
        self.scheme = "https" if tls else "http"
        self.port = self._http.port

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/api/"

    def reset(self, kind: str) -> None:
        self.asked, self.answer, self.kind, self.hold = [], None, kind, None
        self.connections = set()

    def close(self) -> None:
        self._http.close()


def accepting(kind: str, asked: Asked) -> Answer:
    """Return what the provider answers to a message it takes."""
    to = "ada@example.net"
    return {
        "brevo": lambda: Answer(201, {"messageId": "<id-1@smtp-relay.mailin.fr>"}),
        "mailersend": lambda: Answer(
            202, None, {"X-Message-Id": "id-1", "Content-Type": "text/html"}
        ),
        "mailgun": lambda: Answer(
            200, {"id": "<id-1@mg.example.com>", "message": "Queued. Thank you."}
        ),
        "mailjet": lambda: Answer(
            200, {"Messages": [{"Status": "success", "To": [{"Email": to, "MessageID": 1}]}]}
        ),
        "mailtrap": lambda: Answer(200, {"success": True, "message_ids": ["id-1"]}),
        "mandrill": lambda: Answer(200, [{"email": to, "status": "queued", "_id": "id-1"}]),
        "postal": lambda: Answer(
            200, {"status": "success", "data": {"messages": {to: {"id": 1, "token": "x"}}}}
        ),
        "postmark": lambda: Answer(
            200, {"ErrorCode": 0, "Message": "OK", "MessageID": "id-1", "To": to}
        ),
        "resend": lambda: Answer(200, {"id": "id-1"}),
        "scaleway": lambda: Answer(
            200, {"emails": [{"id": "id-1", "mail_rcpt": to, "status": "new"}]}
        ),
        "sendgrid": lambda: Answer(202, None),
        "sparkpost": lambda: Answer(
            200,
            {
                "results": {
                    "total_accepted_recipients": 1,
                    "total_rejected_recipients": 0,
                    "id": "id-1",
                }
            },
        ),
        "unisender_go": lambda: Answer(
            200,
            {
                "status": "success",
                "job_id": "id-1",
                "emails": [asked.json["message"]["recipients"][0]["email"]],
            },
        ),
    }[kind]()
