"""Lets boto3 speak through `lib.egress`: one kept connection, no proxy, no redirect."""

from collections.abc import Iterator
from typing import Any

from botocore import exceptions as boto
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from mailops.lib.http_connection import AnswerLost, HttpConnection, NotSent


class EgressHttpSession:
    """Stands where botocore has its own HTTP session."""

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        headers = {name: _text(value) for name, value in request.headers.items()}
        try:
            answer = self._connection.ask(
                request.method, request.url, headers, _octets(request.body)
            )
        except NotSent as error:
            if error.cause.startswith("tls"):
                raise boto.SSLError(endpoint_url=request.url, error=error) from error
            raise boto.EndpointConnectionError(endpoint_url=request.url, error=error) from error
        except AnswerLost as error:
            raise boto.ConnectionClosedError(endpoint_url=request.url) from error
        return AWSResponse(
            request.url,
            answer.status,
            HTTPHeaders.from_dict(answer.headers),
            _Content(answer.body),
        )

    def close(self) -> None:
        self._connection.close()


class _Content:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._octets


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _octets(body: Any) -> bytes | None:
    return body.encode() if isinstance(body, str) else body
