"""The settings of operators: what is shown of a running service, what is logged, and how it is reloaded."""

from __future__ import annotations

import attrs

from natsroute.daemon.setting_group import SettingGroup


@attrs.frozen(kw_only=True, slots=False)
class OperationSettings(SettingGroup):
    """What operators see of a service, and what they do with it."""
