"""Doubles of providers' suppression lists on loopback: each pages, filters and deletes as its provider documents."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, unquote, urlsplit

from tests.http_server import HttpServer, QuietHandler

PAGE = 2  # entries a page, whatever is asked for


class Lists:
    """`entries` is list name → address → (words, when); `fail` answers instead, once for each of its answers."""

    def __init__(self, kind):
        self.kind, self.entries, self.asked, self.fail = kind, {}, [], []
        double = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                double.asked.append((self.command, parts.path, query, dict(self.headers)))
                if double.fail:
                    status, answer, headers = double.fail.pop(0)
                else:
                    path, headers = unquote(parts.path).strip("/"), {}
                    status, answer = getattr(double, double.kind)(self.command, path, query, body)
                octets = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                octets = b"" if status == 204 else octets
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815 - http.server's names

        self._http = HttpServer(Handler)
        self.port = self._http.port
        self.url = f"http://127.0.0.1:{self.port}/"

    def close(self):
        self._http.close()

    def put(self, name, address, words="550 no such user", when=None):
        when = when or datetime(2026, 5, 1, 12, tzinfo=UTC)
        self.entries.setdefault(name, {})[address] = (words, when)

    def addresses(self):
        return {address for one in self.entries.values() for address in one}

    def _rows(self, name, since=None):
        rows = sorted(self.entries.get(name, {}).items())
        return [(address, words, when) for address, (words, when) in rows if not since or when >= since]  # fmt: skip

    def _delete(self, name, address):
        return 204 if self.entries.get(name, {}).pop(address, None) else 404, {}

    # --- providers ---

    def sendgrid(self, method, path, query, _):
        name, _, address = path.rpartition("/") if method == "DELETE" else (path, "", "")
        if method == "DELETE":
            name = {"asm/suppressions/global": "suppression/unsubscribes"}.get(name, name)
            return self._delete(name, address)
        since = datetime.fromtimestamp(int(query.get("start_time", 0)), tz=UTC)
        begin, size = int(query["offset"]), int(query["limit"])
        rows = self._rows(name, since)[begin : begin + size]
        return 200, [
            {"created": int(when.timestamp()), "email": address, "reason": words, "status": "5.1.1"}
            for address, words, when in rows
        ]

    def mailgun(self, method, path, query, _):
        _, name, *rest = path.split("/")
        if method == "DELETE":
            status, _ = self._delete(name, rest[0])
            return (200, {"message": "removed"}) if status == 204 else (404, {"message": "no"})
        rows = [one for one in self._rows(name) if one[0] > query.get("address", "")][:PAGE]
        items = [
            {"address": a, "code": "550", "error": w, "created_at": format_datetime(at).replace("+0000", "UTC")}
            for a, w, at in rows
        ]  # fmt: skip
        last = rows[-1][0] if rows else query.get("address", "")
        link = f"https://elsewhere.example/v3/x/{name}?page=next&address={last}&limit={PAGE}"
        return 200, {"items": items, "paging": {"next": link, "last": link}}

    def postmark(self, method, path, query, body):
        stream = path.split("/")[1]
        if method == "POST":
            for one in body["Suppressions"]:
                self.entries.get(stream, {}).pop(one["EmailAddress"], None)
            return 200, {"Suppressions": [{**one, "Status": "Deleted"} for one in body["Suppressions"]]}  # fmt: skip
        since = query.get("fromdate", "")
        return 200, {
            "Suppressions": [
                {"EmailAddress": a, "SuppressionReason": w, "Origin": "Recipient", "CreatedAt": when.isoformat()}
                for a, w, when in self._rows(stream) if f"{when.date()}" >= since
            ]
        }  # fmt: skip

    def sparkpost(self, method, path, query, _):
        if method == "DELETE":
            return self._delete("list", path.rpartition("/")[2])
        since = datetime.fromisoformat(query["from"]) if "from" in query else None
        rows, cursor = self._rows("list", since), query["cursor"]
        begin = 0 if cursor == "initial" else int(cursor)
        links = [{"href": f"/api/v1/suppression-list?cursor={begin + PAGE}&per_page={PAGE}", "rel": "next"}]  # fmt: skip
        return 200, {
            "results": [
                {"recipient": a, "type": "transactional", "source": w, "description": "d", "updated": at.isoformat()}
                for a, w, at in rows[begin : begin + PAGE]
            ],
            "links": links if begin + PAGE < len(rows) else [],
            "total_count": len(rows),
        }  # fmt: skip

    def brevo(self, method, path, query, _):
        if method == "DELETE":
            return self._delete("list", path.rpartition("/")[2])
        rows = [one for one in self._rows("list") if f"{one[2].date()}" >= query.get("startDate", "")]  # fmt: skip
        begin, size = int(query["offset"]), int(query["limit"])
        return 200, {
            "count": len(rows),
            "contacts": [
                {"email": a, "senderEmail": "x@example.com", "reason": {"code": w, "message": w}, "blockedAt": at.isoformat()}
                for a, w, at in rows[begin : begin + size]
            ],
        }  # fmt: skip

    def amazon_ses(self, method, path, query, _):
        if method == "DELETE":
            return self._delete("list", path.rpartition("/")[2])
        since = datetime.fromisoformat(query["StartDate"]) if "StartDate" in query else None
        rows, begin = self._rows("list", since), int(query.get("NextToken", 0))
        found = [
            {"EmailAddress": a, "Reason": w, "LastUpdateTime": at.timestamp()}
            for a, w, at in rows[begin : begin + PAGE]
        ]
        more = {"NextToken": str(begin + PAGE)} if begin + PAGE < len(rows) else {}
        return 200, {"SuppressedDestinationSummaries": found, **more}
