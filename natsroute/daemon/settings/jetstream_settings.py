"""The settings of JetStream: where its API is, and which streams and consumers there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from natsroute.daemon.settings.fields import (
    consumer_entries,
    count,
    described,
    flag,
    htable_entries,
    optional_subject,
    optional_token,
    replay_entries,
    seconds,
    stream_entries,
    subject_patterns,
)
from natsroute.daemon.settings.htable_entry import HtableEntry
from natsroute.daemon.settings.jetstream_entries import ConsumerEntry, ReplayEntry, StreamEntry
from natsroute.daemon.settings.setting_group import SettingGroup
from natsroute.errors import SettingError


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

    jetstream_consumer: tuple[ConsumerEntry, ...] = attrs.field(
        default=(),
        converter=consumer_entries,
        metadata=described(
            "A durable consumer of a stream whose messages run the event routes, STREAM:DURABLE. Behind it may be "
            "options of the consumer, as in STREAM:DURABLE=>ack_wait=30;max_deliver=5. Each has its own connection.",
            repeatable=True,
        ),
    )
    jetstream_replay: tuple[ReplayEntry, ...] = attrs.field(
        default=(),
        converter=replay_entries,
        metadata=described(
            "A stream whose messages run the event routes in order, from its beginning at each start, without "
            "acknowledgements. STREAM=>from=SEQUENCE begins there; it may also be a time, last or last_per_subject.",
            repeatable=True,
        ),
    )
    jetstream_stream: tuple[StreamEntry, ...] = attrs.field(
        default=(),
        converter=stream_entries,
        metadata=described(
            "A stream that must be there, and its options, as in NAME=>subjects=calls.> cdr.*;max_age=7d.",
            repeatable=True,
        ),
    )
    jetstream_create: bool = flag("Create the streams, consumers and key-value buckets that are missing.")
    jetstream_update: bool = flag("Change the streams and consumers that differ from the settings.")
    jetstream_publish: tuple[str, ...] = attrs.field(
        default=(),
        converter=subject_patterns,
        metadata=described(
            "A subject, or a pattern with wildcards: what is published to it is confirmed when a stream has stored it.",
            repeatable=True,
        ),
    )
    jetstream_publish_window: int = count(
        "How many messages to one subject of a stream are sent before the first of them is acknowledged. 1 keeps their "
        "order in every case.",
        4096,
    )
    jetstream_publish_timeout: float = seconds(
        "After how many seconds without an acknowledgement a message to a stream is sent again.", 5.0
    )

    kamailio_htable: tuple[HtableEntry, ...] = attrs.field(
        default=(),
        converter=htable_entries,
        metadata=described(
            "An htable of Kamailio scripts that is kept in a key-value bucket, NAME=BUCKET, so that all instances "
            "share it.",
            repeatable=True,
        ),
    )

    @property
    def names_streams(self) -> bool:
        """Whether the API of JetStream is asked from the start."""
        return bool(self.jetstream_consumer or self.jetstream_replay or self.jetstream_stream)

    def check(self) -> None:
        """Check these settings together."""
        super().check()
        self._check_exclusive("jetstream_api_prefix", "jetstream_domain", "it says where the API is")
        self._check_twice("jetstream_stream", self.jetstream_stream)
        self._check_twice("jetstream_consumer", self.jetstream_consumer)
        self._check_twice("jetstream_replay", self.jetstream_replay)

    def _check_twice(self, setting: str, entries: Iterable[object]) -> None:
        """Refuse two entries for the same stream or consumer."""
        for name, number in Counter(map(str, entries)).items():
            if number > 1:
                raise SettingError(setting, name, "it is given twice", "Leave one of them out")
