"""Walks every address of the house that one of our own views answers."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter, UUIDConverter


@dataclass(frozen=True)
class Address:
    name: str  # with its namespace: "accounts:user"
    permission: Any  # what `needs`, `for_users` or `for_anyone` wrote on the view
    converters: dict[str, Any] = field(default_factory=dict)

    def path(self, **kwargs: Any) -> str:
        """Return the path, with made-up values where no `kwargs` are given."""
        return reverse(self.name, kwargs=kwargs or {k: _any(c) for k, c in self.converters.items()})

    def __str__(self) -> str:
        return self.name


def _any(converter: Any) -> Any:
    if isinstance(converter, IntConverter):
        return 1
    return uuid.UUID(int=1) if isinstance(converter, UUIDConverter) else "x"


def addresses() -> list[Address]:
    return sorted(_walk(get_resolver(), "", {}), key=lambda address: address.name)


def _walk(resolver: URLResolver, prefix: str, above: dict[str, Any]) -> Iterator[Address]:
    for pattern in resolver.url_patterns:
        converters = above | pattern.pattern.converters
        if isinstance(pattern, URLResolver):
            inner = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            yield from _walk(pattern, inner, converters)
        elif isinstance(pattern, URLPattern) and pattern.name:
            permission = getattr(pattern.callback, "permission", None)
            if permission is not None:
                yield Address(f"{prefix}{pattern.name}", permission, converters)
