"""How a peer is told what to do: a line on its standard input, answered by a line of JSON."""

import json
import sys
from collections.abc import Callable, Mapping


def obey(verbs: Mapping[str, Callable[..., object]]) -> None:
    """Run verbs, each with its whole numbers, until the input ends."""
    for line in sys.stdin:
        verb, *numbers = line.split()
        answer = verbs[verb](*map(int, numbers))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
