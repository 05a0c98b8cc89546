"""Amazon's API on loopback: moto answers, over real HTTP, what sessions ask by their own connection."""

from typing import Self

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber

from tests.http_server import HttpServer, QuietHandler

AMAZON = "https://email.eu-west-1.amazonaws.com"


class AmazonDouble:
    """Serves SES of one region; within `moto.mock_aws` alone. Counts connections and requests."""

    def __init__(self) -> None:
        self.connections = 0
        self.asked: list[str] = []
        double = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                double.connections += 1
                super().setup()

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                double.asked.append(self.path)
                request = AWSPreparedRequest(
                    method=self.command,
                    url=AMAZON + self.path,
                    headers=HTTPHeaders.from_pairs(list(self.headers.items())),
                    body=self.rfile.read(length),
                    stream_output=False,
                )
                told = botocore_stubber.process_request(request)
                status, headers, body = told or (404, {}, "{}")
                octets = body.encode() if isinstance(body, str) else body
                self.send_response(int(status))
                for name, value in headers.items():
                    if name.lower() not in {"content-length", "server", "date"}:
                        self.send_header(name, str(value))
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names http.server calls

        self._http = HttpServer(Handler)
        self.port = self._http.port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
