"""A sandbox receiver in a thread of its own, spoken to over a real socket."""

import asyncio
import smtplib
import threading
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from queue import Queue

import pytest

from mailops.sandbox.receiving import serve
from mailops.sandbox.storing import store


@contextmanager
def receiver(**options):
    """Run a receiver and give its port."""
    ports: Queue[int] = Queue()
    started: Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def run():
        stop = asyncio.Event()
        started.put((asyncio.get_running_loop(), stop))
        await serve(host="127.0.0.1", port=0, stop=stop, ready=ports.put, **options)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    loop, stop = started.get(timeout=5)
    try:
        yield ports.get(timeout=5)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=5)
        assert not thread.is_alive()


@pytest.fixture
def connect(transactional_db):
    """Return a function that starts a storing receiver and connects to it."""
    with ExitStack() as stack:

        def start(**options):
            keep = partial(store, reaction_delay=timedelta(0))
            port = stack.enter_context(receiver(**{"store": keep, **options}))
            client = smtplib.SMTP("127.0.0.1", port, timeout=10)
            stack.callback(client.close)
            return client

        yield start
