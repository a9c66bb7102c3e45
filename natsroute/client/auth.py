"""Who we are, as a server wants to hear it."""

from __future__ import annotations

import attrs


@attrs.frozen
class Credentials:
    """
    What a ``nats_url`` says of us: a user and password, a token, or nothing. None of it is in ``repr``.
    """

    user: str | None = attrs.field(default=None, repr=False)
    password: str | None = attrs.field(default=None, repr=False)
    token: str | None = attrs.field(default=None, repr=False)
