"""The JetStream API of a service: asked over the connection for requests, where the settings say that it is."""

from __future__ import annotations

from natsroute.daemon.requesting import Requesting
from natsroute.daemon.settings.jetstream_settings import JetStreamSettings
from natsroute.jetstream.api import JetStreamApi, api_prefix


def new_api(settings: JetStreamSettings, requesting: Requesting) -> JetStreamApi:
    """The API that these settings name. A call starts the connection for requests, if it does not run yet."""
    return JetStreamApi(requesting.request, settings.jetstream_api_prefix or api_prefix(settings.jetstream_domain))
