"""How long to wait before the next attempt."""

from collections.abc import Sequence


def backoff_after(seconds: Sequence[int], attempts: int, *, jitter: float) -> float:
    """Return the seconds to wait after `attempts` deferrals, with full jitter over the upper half.

    `seconds` are the stream's rows, the last one repeats; `jitter` is a random number in [0, 1). Full jitter down
    to zero would retry at once, which receivers count against us, so half of the wait is kept.
    """
    step = seconds[min(attempts, len(seconds)) - 1] if seconds else 300
    return step * (0.5 + jitter / 2)
