"""Calls a webhook at a steady rate, over kept connections, whatever the answers take; says what came of it.

Run by its path: `storm.py PORT CALLS RATE CONNECTIONS ANSWERS`. CALLS has a line for each call: its path, a tab, its body.
What a call took is counted from when it was due, not from when a connection was free for it. A call that gets no answer,
or an error of the server, is made again after a while, as providers do.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path

# seconds; the first is no wait, since a quiet line may have closed
AGAIN_AFTER = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
ANSWER_SECONDS = 30.0


class Storm:
    def __init__(self, port: int, calls: list[bytes], rate: float) -> None:
        self._port, self._rate = port, rate
        self._calls = [_request(port, call) for call in calls]  # before the clock runs
        self._next = 0
        self._begins_at = time.monotonic() + 0.5
        self.took: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.given_up = 0

    async def run(self, connections: int) -> None:
        await asyncio.gather(*(self._call_on() for _ in range(connections)))

    async def _call_on(self) -> None:
        """Make call after call over one connection, and another one where that breaks."""
        line = _Line(self._port)
        while self._next < len(self._calls):
            number, self._next = self._next, self._next + 1
            due_at = self._begins_at + number / self._rate
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            for pause in (0.0, *AGAIN_AFTER):
                await asyncio.sleep(pause)
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        status = await line.send(self._calls[number])
                except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                    self.failures[type(error).__name__] += 1
                    line.close()
                    continue
                self.statuses[status] += 1
                if status < 500:
                    break
            else:
                self.given_up += 1
            self.took.append(time.monotonic() - due_at)
        line.close()


class _Line:
    """One connection; a server that closes a quiet one loses nothing: the call is made over another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader = asyncio.StreamReader()
        self._writer: asyncio.StreamWriter | None = None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    async def send(self, request: bytes) -> int:
        if self._writer is None or self._reader.at_eof():
            self.close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        fields = answer.decode("latin-1").lower().split("\r\n")
        named = dict(field.partition(":")[::2] for field in fields[1:])
        await self._reader.readexactly(int(named.get("content-length", "0")))
        if named.get("connection", "").strip() == "close":
            self.close()
        return int(fields[0].split()[1])


def _request(port: int, call: bytes) -> bytes:
    path, _, body = call.partition(b"\t")
    head = (
        f"POST {path.decode()} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    port, calls, rate, connections, answers = sys.argv[1:]
    storm = Storm(int(port), Path(calls).read_bytes().splitlines(), float(rate))
    began_at = time.monotonic()
    asyncio.run(storm.run(int(connections)))
    took = sorted(storm.took)
    Path(answers).write_text(
        json.dumps(
            {
                "calls": len(took),
                "seconds": time.monotonic() - began_at,
                "processor": time.process_time(),
                "median": took[len(took) // 2],
                "p99": took[len(took) * 99 // 100],
                "longest": took[-1],
                "statuses": storm.statuses,
                "failures": storm.failures,
                "given_up": storm.given_up,
            }
        )
    )


if __name__ == "__main__":
    main()
