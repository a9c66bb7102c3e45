"""The key-value buckets of a service."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorTime

from natsroute.daemon.connections import Connections
from natsroute.daemon.sending.requesting import Requesting
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.ordered_consumer import OrderedConsumer
from natsroute.jetstream.key_value.bucket import Bucket, ServerBucket
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.jetstream.key_value.key_value import KeyValue
from natsroute.jetstream.key_value.memory import MemoryBucket
from natsroute.message import Message
from natsroute.wire.key_value import check_bucket

#: Makes the bucket with a name.
NewBucket = Callable[[str], Bucket]


class KeyValues:
    """
    Gives each bucket once, so that changes of a key are in the order of the calls.

    :param new_bucket: makes a bucket.
    """

    def __init__(self, new_bucket: NewBucket) -> None:
        self._new_bucket = new_bucket
        self._configured: set[str] = set()
        self._known: dict[str, Bucket] = {}

    def key_value(self, bucket: str, config: BucketConfig | None = None, *, create: bool = False) -> KeyValue:
        """
        A key-value bucket. Call this, and the methods of the result, in the reactor thread.

        :param bucket: its name.
        :param config: create it like this if it does not exist.
        :param create: create it if it does not exist, as :class:`~natsroute.jetstream.key_value.config.BucketConfig`
            has it.
        :raises SubjectError: the name is invalid.
        """
        if config is None and create and bucket not in self._configured:
            config = BucketConfig()
        return KeyValue(self.bucket(bucket, config))

    def stop_watches(self) -> None:
        """Stop all watches: the service stops."""
        for bucket in self._known.values():
            bucket.stop_watches()

    def bucket(self, bucket: str, config: BucketConfig | None = None) -> Bucket:
        """What the entries of a bucket are in; the arguments are those of :meth:`key_value`."""
        if bucket not in self._known:
            self._known[bucket] = self._new_bucket(check_bucket(bucket))
        if config is not None:
            self._known[bucket].configure(config)
            self._configured.add(bucket)
        return self._known[bucket]


class ServerBuckets(KeyValues):
    """
    The buckets on a server.

    :param api: where they are.
    :param requesting: sends their requests. The first one starts its connection, if it does not run yet.
    :param inbox_prefix: what the reply subjects of the watches begin with.
    :param needed: whether the settings need the connection of the watches, so that the service is not ready without it.
        Otherwise it is made when the first watch begins.

    :ivar watches: the connection of the watches.
    """

    def __init__(
        self,
        api: JetStreamApi,
        requesting: Requesting,
        connections: Connections,
        clock: IReactorTime,
        *,
        inbox_prefix: str,
        needed: bool,
    ) -> None:
        super().__init__(lambda bucket: ServerBucket(bucket, api, requesting.request, clock, self._consume))
        self.watches = (connections.new if needed else connections.new_idle)("key-value watches", Message)
        self._new_consumer = partial(OrderedConsumer, self.watches, api, clock=clock, inbox_prefix=inbox_prefix)
        self._connections = connections

    def _consume(self, stream: str, **options: Any) -> OrderedConsumer:
        self._connections.start_when_possible(self.watches)
        return self._new_consumer(stream, **options)


def memory_buckets(clock: IReactorTime) -> KeyValues:
    """Buckets in memory. All are there, and empty at first."""
    return KeyValues(lambda bucket: MemoryBucket(bucket, clock))
