"""Which log events are written: a least level for all of them, and others for single namespaces."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import LogEvent, LogLevel

from natsroute.errors import SettingError
from natsroute.text import printable

#: The names of the levels, from the lowest to the highest.
LEVELS = ("debug", "info", "warn", "error", "critical")
#: The level of what has no rule of its own.
DEFAULT_LEVEL = "info"
#: What takes the place of a level to take a rule back.
NO_RULE = "default"

_MAX_NAMESPACES = 1000
_RANKS = {LogLevel.lookupByName(name): rank for rank, name in enumerate(LEVELS)}
_INFO = LEVELS.index("info")


class LogLevels:
    """
    The least level of each namespace. May be asked in any thread, and changed at any time.

    A rule is ``LEVEL``, for everything, or ``NAMESPACE=LEVEL``, for a namespace and those within it:
    ``natsroute.client`` is also for ``natsroute.client.connection.Connection``. The longest namespace counts. Of two
    rules for the same namespace the later one counts.

    :param rules: rules. Without one for everything, its level is ``info``.
    :raises SettingError: a rule is malformed.
    """

    def __init__(self, rules: Iterable[str] = ()) -> None:
        self._levels = {"": DEFAULT_LEVEL}
        self._ranks: dict[object, int] = {}  # by namespace, as they are asked for
        self.change(rules)

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules of this moment: first the one for everything, then by namespace."""
        return tuple(f"{name}={level}" if name else level for name, level in sorted(self._levels.items()))

    def change(self, rules: Iterable[str]) -> None:
        """
        Add rules to those that are there. ``NAMESPACE=default`` takes one back.

        :raises SettingError: a rule is malformed; nothing has changed then.
        """
        levels = dict(self._levels)
        for rule in rules:
            namespace, level = parse_rule(rule)
            if level != NO_RULE:
                levels[namespace] = level
            elif namespace:
                levels.pop(namespace, None)
            else:
                levels[""] = DEFAULT_LEVEL
        self._levels, self._ranks = levels, {}

    def allows(self, event: LogEvent) -> bool:
        """Whether an event is written."""
        namespace = event.get("log_namespace")
        rank = self._ranks.get(namespace)
        if rank is None:
            rank = self._find(namespace)
        return _RANKS.get(event.get("log_level"), _INFO) >= rank

    def _find(self, namespace: object) -> int:
        levels, ranks = self._levels, self._ranks
        name = namespace if isinstance(namespace, str) else ""
        while name and name not in levels:
            name = name.rpartition(".")[0]
        if len(ranks) >= _MAX_NAMESPACES:
            ranks.clear()
        ranks[namespace] = rank = LEVELS.index(levels[name])
        return rank


def parse_rule(rule: str) -> tuple[str, str]:
    """
    The namespace and the level of a rule. The namespace is empty if it is for everything.

    :raises SettingError: it is malformed.
    """
    namespace, _, level = rule.rpartition("=")
    namespace, level = namespace.strip(), level.strip().lower()
    if level not in (*LEVELS, NO_RULE) or ("=" in rule and not namespace):
        raise SettingError(
            "log_level",
            printable(rule, 100),
            "it is neither LEVEL nor NAMESPACE=LEVEL",
            f"Give one of {', '.join(LEVELS)}, or a namespace with one of them, such as natsroute.client=debug",
        )
    return namespace, level
