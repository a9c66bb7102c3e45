"""The settings of JetStream: where its API is, and what is done with streams."""

from __future__ import annotations

import attrs

from natsroute.daemon.settings.fields import optional_subject, optional_token
from natsroute.daemon.settings.setting_group import SettingGroup


@attrs.frozen(kw_only=True, slots=False)
class JetStreamSettings(SettingGroup):
    """Streams, consumers and buckets."""

    jetstream_domain: str = optional_token(
        "The JetStream domain of the streams, if it is not that of the server that natsroute connects to."
    )
    jetstream_api_prefix: str = optional_subject(
        "What the subjects of the JetStream API begin with, if another account exports them under a name of its own. "
        "Without it, $JS.API, or that of jetstream_domain."
    )

    def check(self) -> None:
        """Check these settings together."""
        super().check()
        self._check_exclusive("jetstream_api_prefix", "jetstream_domain", "it says where the API is")
