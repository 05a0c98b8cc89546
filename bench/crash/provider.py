"""An Amazon SES (API v2) that misbehaves as an address asks it to; its log is written before each answer and is the truth.

Run by its path: `provider.py PORT LOG EARLY`. A recipient `api-FAULT.anything` draws that fault once. EARLY is where it
writes down who was sent again before the time it had asked for.
"""

import base64
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

RETRY_AFTER = 3
STALL_SECONDS = 3600.0

# fault → status, SES's name for it, further headers
REFUSALS: dict[str, tuple[int, str, dict[str, str]]] = {
    "429": (429, "TooManyRequestsException", {"Retry-After": str(RETRY_AFTER)}),
    "400": (400, "MessageRejected", {}),
    "500": (500, "InternalServiceErrorException", {}),
    "503": (503, "ServiceUnavailable", {}),
    "storedand500": (500, "InternalServiceErrorException", {}),
}
STORED = {"storedand500", "storedanddrop", "storedandslow"}


class Provider(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, log: Path, early: Path) -> None:
        super().__init__(("127.0.0.1", port), Conversation)
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._early = os.open(early, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._waits_until: dict[str, float] = {}

    def fault_of(self, recipient: str) -> str:
        """Return the fault this recipient draws now, an empty word for none."""
        _, _, fault = recipient.partition("@")[0].partition(".")[0].partition("api-")
        if recipient in self._waits_until:
            if time.monotonic() < self._waits_until[recipient]:
                os.write(self._early, recipient.encode() + b"\n")
            return ""
        if fault:
            wait = RETRY_AFTER if fault == "429" else 0
            self._waits_until[recipient] = time.monotonic() + wait
        return fault

    def store(self, recipient: str) -> None:
        line = {"at": time.time(), "recipient": recipient}
        os.write(self._log, json.dumps(line).encode() + b"\n")


class Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        request = json.loads(self.rfile.read(size))
        (recipient,) = request["Destination"]["ToAddresses"]
        base64.b64decode(request["Content"]["Raw"]["Data"], validate=True)
        fault = self.server.fault_of(recipient)
        if not fault or fault in STORED:
            self.server.store(recipient)
        if fault in {"drop", "storedanddrop"}:
            self.close_connection = True
        elif fault == "storedandslow":
            time.sleep(STALL_SECONDS)
        elif fault:
            status, name, headers = REFUSALS[fault]
            self._answer(
                status, {"message": f"as asked: {fault}"}, {"x-amzn-ErrorType": name, **headers}
            )
        else:
            self._answer(200, {"MessageId": uuid4().hex}, {})

    def _answer(self, status: int, body: dict[str, str], headers: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the log is what was stored."""


if __name__ == "__main__":
    Provider(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])).serve_forever()
