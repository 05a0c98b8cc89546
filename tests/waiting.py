"""Waits for what other processes and threads do: no longer than that takes, and not for ever."""

import time


def wait_until(condition, *, seconds: float, what: str):
    """Return the first true value of `condition()`; fail with `what` when the time is over."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")
