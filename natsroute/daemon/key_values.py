"""The key-value buckets of a service."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from natsroute.daemon.requesting import Requesting
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.key_value import KeyValue
from natsroute.jetstream.key_value_bucket import Bucket, ServerBucket
from natsroute.jetstream.key_value_config import BucketConfig
from natsroute.jetstream.key_value_memory import MemoryBucket
from natsroute.jetstream.key_value_names import check_bucket

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
        self._known: dict[str, tuple[Bucket, KeyValue]] = {}

    def key_value(self, bucket: str, config: BucketConfig | None = None, *, create: bool = False) -> KeyValue:
        """
        A key-value bucket. Call this, and the methods of the result, in the reactor thread.

        :param bucket: its name.
        :param config: create it like this if it does not exist.
        :param create: create it if it does not exist, as :class:`~natsroute.jetstream.key_value_config.BucketConfig`
            has it.
        :raises KeyValueNameError: the name is invalid.
        """
        if bucket not in self._known:
            made = self._new_bucket(check_bucket(bucket))
            self._known[bucket] = made, KeyValue(made)
        known, key_value = self._known[bucket]
        if config is None and create and bucket not in self._configured:
            config = BucketConfig()
        if config is not None:
            known.configure(config)
            self._configured.add(bucket)
        return key_value


def server_buckets(api: JetStreamApi, requesting: Requesting, clock: IReactorTime) -> KeyValues:
    """The buckets on a server. The first request starts the connection for requests, if it does not run yet."""
    return KeyValues(lambda bucket: ServerBucket(bucket, api, requesting.request, clock))


def memory_buckets(clock: IReactorTime) -> KeyValues:
    """Buckets in memory. All are there, and empty at first."""
    return KeyValues(lambda bucket: MemoryBucket(bucket, clock))
