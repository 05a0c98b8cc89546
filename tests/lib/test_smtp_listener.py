"""What waits to be stored is let go of when its session is gone."""

import asyncio
import gc
import threading
import weakref
from functools import partial

from mailops.lib.smtp_listener import StoreThread


class Mail:
    pass


def test_what_nobody_waits_for_takes_no_room():
    asyncio.run(let_go())


async def let_go():
    thread, gate = StoreThread("test-store"), threading.Event()
    first = asyncio.create_task(thread.do(partial(gate.wait, 10)))
    mail = Mail()
    known = weakref.ref(mail)
    second = asyncio.create_task(thread.do(partial(repr, mail)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    del mail, second
    gc.collect()
    assert known() is None
    gate.set()
    assert await first
    await thread.close()
