"""What hostile input may cost: a processor's time for this process, which a busy machine does not stretch."""

import time
from contextlib import contextmanager


@contextmanager
def costing_less_than(seconds: float):
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds
