"""Hints that something is due: never the truth, since a tick finds what lost its hint."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


@contextmanager
def only_hinting() -> Iterator[None]:
    """Send tasks that only hurry what a tick does anyway: a broker that is away is nobody's fault."""
    try:
        yield
    except (OperationalError, psycopg.Error, OSError) as error:
        logger.info("no hint could be sent, the next tick finds what is due: %s", error)
