"""The JetStream API of a service: asked over the connection for requests, where the settings say that it is."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from natsroute.daemon.sending.requesting import Requesting
from natsroute.daemon.settings.jetstream_settings import JetStreamSettings
from natsroute.jetstream.api import JetStreamApi, api_prefix
from natsroute.jetstream.management.ensuring import Permission
from natsroute.jetstream.management.stream_checks import StreamChecks


def new_checks(
    settings: JetStreamSettings, requesting: Requesting, api: JetStreamApi, clock: IReactorTime
) -> StreamChecks:
    """What creates and checks the streams and consumers that these settings name."""
    may = Permission(create=settings.jetstream_create, update=settings.jetstream_update)
    streams = [entry.config for entry in settings.jetstream_stream]
    return StreamChecks(requesting.connection, api, streams, may, clock=clock)


def new_api(settings: JetStreamSettings, requesting: Requesting) -> JetStreamApi:
    """The API that these settings name. A call starts the connection for requests, if it does not run yet."""
    return JetStreamApi(requesting.request, settings.jetstream_api_prefix or api_prefix(settings.jetstream_domain))
