"""Which event route runs for a subject."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from natsroute.routes.route import Route
from natsroute.wire.subjects import is_wildcard, overlaps


class RouteTable:
    """
    Finds the route for a subject.

    The wildcards stand in a tree of their tokens. The search tries the word first, then ``*``, then ``>``, so it finds
    the most specific match first, however many routes there are.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = {route.pattern: route for route in routes}
        self._by_name = {route.name: route for route in self._routes.values()}
        self._tree: dict[str, Any] = {}
        for pattern, route in self._routes.items():
            if is_wildcard(pattern):
                node = self._tree
                for token in pattern.split("."):
                    node = node.setdefault(token, {})
                node[""] = route  # no token is empty

    def find(self, subject: str) -> Route | None:
        """The best route for a subject, or None."""
        exact = self._routes.get(subject)
        return self._search(self._tree, subject.split("."), 0) if exact is None else exact

    def get(self, name: str) -> Route | None:
        """The route with exactly this name, or None."""
        return self._by_name.get(name)

    def for_subscription(self, pattern: str) -> list[Route]:
        """The routes that a message of a subscription to this pattern may match."""
        return [route for route in self._routes.values() if overlaps(route.pattern, pattern)]

    def _search(self, node: dict[str, Any], tokens: list[str], depth: int) -> Route | None:
        if depth == len(tokens):
            found: Route | None = node.get("")
            return found
        for token in (tokens[depth], "*"):
            if token in node:
                found = self._search(node[token], tokens, depth + 1)
                if found is not None:
                    return found
        rest: Route | None = node[">"][""] if ">" in node else None
        return rest
