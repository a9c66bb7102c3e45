"""What the groups of settings have in common: where their values came from, and checks of two settings together."""

from __future__ import annotations

import attrs

from natsroute.daemon.settings.sources import Origins
from natsroute.errors import SettingError


@attrs.frozen(kw_only=True, slots=False)
class SettingGroup:
    """
    Settings that belong together. :class:`~natsroute.daemon.settings.settings.Settings` is made of several groups. They
    have no slots, because a class can have only one base with slots.

    :param origins: where each value came from.
    """

    origins: Origins = attrs.field(factory=Origins, eq=False)

    def check(self) -> None:
        """
        Check the settings of this group together. A subclass calls this first.

        :raises SettingError: they do not fit together.
        """

    def _check_exclusive(self, name: str, other: str, problem: str) -> None:
        if getattr(self, name) and getattr(self, other):
            raise SettingError(
                name, getattr(self, name), f"{problem}, and {other} is set{self._from(other)}", "Leave one of them out"
            )

    def _from(self, setting: str) -> str:
        return f" (from {self.origins[setting]})" if self.origins[setting] else ""
