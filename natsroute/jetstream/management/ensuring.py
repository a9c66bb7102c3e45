"""Streams and consumers that settings name: they are created, checked or changed."""

from __future__ import annotations

import attrs

from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.errors import (
    ConfigDiffersError,
    ConsumerExistsError,
    ConsumerNotFoundError,
    StreamExistsError,
    StreamNotFoundError,
)
from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig
from natsroute.jetstream.management.consumers import ConsumerInfo, consumer_info, create_consumer
from natsroute.jetstream.management.streams import StreamInfo, create_stream, stream_info, update_stream
from natsroute.log import Logger

_log = Logger()


@attrs.frozen
class Permission:
    """
    What may be done about a stream or consumer that is not as the settings say.

    :ivar create: create a missing one.
    :ivar update: change one that differs.
    """

    create: bool = False
    update: bool = False


async def ensure_stream(api: JetStreamApi, config: StreamConfig, may: Permission) -> StreamInfo:
    """
    See to it that there is a stream with this configuration. What the configuration does not give may be anything.

    :raises StreamNotFoundError: there is none, and it may not be created.
    :raises ConfigDiffersError: it differs, and may not be changed.
    :raises StreamExistsError: another stream has one of the subjects.
    :raises InvalidConfigError: the server refuses the configuration, or cannot change this.
    :raises JetStreamError: as :meth:`JetStreamApi.call <natsroute.jetstream.api.JetStreamApi.call>` does.
    """
    try:
        info = await stream_info(api, config.name)
    except StreamNotFoundError:
        if not may.create:
            raise
        try:
            info = await create_stream(api, config)
        except StreamExistsError as error:  # somebody else was faster, or another stream has a subject
            try:
                info = await stream_info(api, config.name)
            except StreamNotFoundError:
                raise error from None
        else:
            _log.info("Created the stream {stream}", stream=config.name)
    differences = config.differences(info.config)
    if not differences:
        return info
    if not may.update:
        raise ConfigDiffersError(f"stream {config.name}", differences)
    info = await update_stream(api, config.over(info.config))
    _log.info("Changed the stream {stream}: {changes}", stream=config.name, changes="; ".join(map(str, differences)))
    return info


async def ensure_consumer(api: JetStreamApi, stream: str, config: ConsumerConfig, may: Permission) -> ConsumerInfo:
    """
    See to it that there is a consumer with this configuration. What the configuration does not give may be anything.

    :param config: with a ``durable_name``.
    :raises StreamNotFoundError: there is no such stream.
    :raises ConsumerNotFoundError: there is no such consumer, and it may not be created.
    :raises ConfigDiffersError: it differs, and may not be changed.
    :raises JetStreamError: as :func:`ensure_stream` does.
    """
    name = config.durable_name or config.name or ""
    try:
        info = await consumer_info(api, stream, name)
    except ConsumerNotFoundError:
        if not may.create:
            raise
        try:
            info = await create_consumer(api, stream, config)
        except ConsumerExistsError:  # somebody else was faster
            info = await consumer_info(api, stream, name)
        else:
            _log.info("Created the consumer {stream}:{consumer}", stream=stream, consumer=name)
    differences = config.differences(info.config)
    if not differences:
        return info
    if not may.update:
        raise ConfigDiffersError(f"consumer {stream}:{name}", differences)
    info = await create_consumer(api, stream, config.over(info.config), action="update")
    changes = "; ".join(map(str, differences))
    _log.info("Changed the consumer {stream}:{consumer}: {changes}", stream=stream, consumer=name, changes=changes)
    return info
