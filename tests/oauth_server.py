"""A token endpoint on loopback: gives tokens, knows which it gave, and says what it is told to say."""

import base64
import hashlib
import json
from urllib.parse import parse_qs

from tests.http_server import HttpServer, QuietHandler


class OAuthServer:
    """`refuse` is (status, error) for each request; `refresh_tokens` are those that still hold."""

    def __init__(self):
        self.refresh_tokens = {"refresh-1"}
        self.access_tokens = {}  # → when it was given, by number
        self.mailbox = "sender@example.com"
        self.codes = {}  # code → its challenge
        self.asked = []
        self.refuse = None
        self.lasts = 3600
        self.gate = None  # an event that each request waits for
        self.rotates = False
        self.name_token = lambda number: f"access-token-{number}"

    def __enter__(self):
        server = self

        class Handler(QuietHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                server.asked.append(form)
                if server.gate:
                    server.gate.wait(5)
                status, answer = server.answer(form)
                octets = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def do_GET(self):
                """Tell whose an access token is, as servers that are given one ask."""
                token = self.path.partition("=")[2]
                is_known = token in server.access_tokens
                answer = {"email": server.mailbox} if is_known else {"error": "invalid_token"}
                octets = json.dumps(answer).encode()
                self.send_response(200 if is_known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

        self._http = HttpServer(Handler)
        self.port = self._http.port
        self.info_url = f"http://127.0.0.1:{self.port}/info?access_token="
        self.token_url = f"http://127.0.0.1:{self.port}/token"
        return self

    def __exit__(self, *_):
        self._http.close()

    def answer(self, form):
        if self.refuse:
            status, error = self.refuse
            if isinstance(error, bytes):
                return status, error
            words = f"said back: {form.get('refresh_token', '')} {form.get('client_secret', '')}"
            return status, {"error": error, "error_description": words}
        if form["grant_type"] == "authorization_code":
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if self.codes.pop(form["code"], None) != challenge:
                return 400, {"error": "invalid_grant"}
        elif form["refresh_token"] not in self.refresh_tokens:
            return 400, {"error": "invalid_grant"}
        number = len(self.access_tokens) + 1
        access = self.name_token(number)
        self.access_tokens[access] = number
        answer = {"access_token": access, "expires_in": self.lasts, "token_type": "Bearer"}
        if form["grant_type"] == "authorization_code":
            answer["refresh_token"] = "refresh-1"
        elif self.rotates:
            self.refresh_tokens = {f"refresh-{number}"}
            answer["refresh_token"] = f"refresh-{number}"
        return 200, answer
