"""Tasks that wait for peers: few at once in a process, so that those by the clock find a thread however silent peers are."""

from threading import Lock
from typing import Any

from celery import Task

from mailops.lib.hints import only_hinting

PLACES = 5

Named = tuple[tuple[str, Any], ...]  # arguments by name, in the order of their names
Errand = tuple["WaitsForPeers", tuple[Any, ...], Named]


class Room:
    """Places for so many errands, no two alike; those who found none come in turn as others leave."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = Lock()
        self._inside: set[Errand] = set()
        self._outside: dict[Errand, None] = {}  # in their order

    def enter(self, errand: Errand) -> bool:
        """Take a place for it and return True, or note that it waits for one."""
        with self._lock:
            if errand in self._inside or len(self._inside) >= self._places:
                self._outside[errand] = None
                return False
            self._outside.pop(errand, None)
            self._inside.add(errand)
            return True

    def leave(self, errand: Errand) -> Errand | None:
        """Give its place back; return whose turn it is, who waits no more: it enters, or waits anew."""
        with self._lock:
            self._inside.remove(errand)
            following = next((one for one in self._outside if one not in self._inside), None)
            if following is not None:
                del self._outside[following]
            return following


class WaitsForPeers(Task):  # type: ignore[misc]
    """A task that is hinted at anew by a tick; where its room is full it is put off, and holds no thread."""

    room = Room(PLACES)

    def __call__(self, *args: Any, **named: Any) -> Any:
        errand = (self, args, tuple(sorted(named.items())))
        if not self.room.enter(errand):
            return None
        try:
            return self.run(*args, **named)
        finally:
            if following := self.room.leave(errand):
                _hint(*following)


def _hint(task: WaitsForPeers, args: tuple[Any, ...], named: Named) -> None:
    with only_hinting():
        task.apply_async(args, dict(named), retry=False)


class Tells(WaitsForPeers):
    """Telling people does not wait for other peers to answer."""

    room = Room(1)
