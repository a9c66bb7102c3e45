"""Health: what /livez and /readyz say, on the site and in its stand-in."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from natsroute.monitoring.http.resources import Answer
from natsroute.monitoring.overview import Reason

#: Reasons that an answer has at most. There may be one for each of a thousand connections.
MAX_REASONS = 100


def live(reasons: Sequence[Reason], *, detail: bool) -> Answer:
    """
    What /livez says: 200, or 503 if only a restart can help.

    :param reasons: why only a restart can help; none if the service lives.
    :param detail: whether the client may see what the reasons are about; otherwise it sees their codes.
    """
    return _health("alive", reasons, detail=detail)


def ready(reasons: Sequence[Reason], *, detail: bool) -> Answer:
    """
    What /readyz says: 200, or 503 with the reasons.

    :param reasons: why the service is not ready; none if it is.
    :param detail: as for :func:`live`.
    """
    return _health("ready", reasons, detail=detail)


def _health(name: str, reasons: Sequence[Reason], *, detail: bool) -> Answer:
    if detail:
        shown: list[object] = [attrs.asdict(reason) for reason in reasons[:MAX_REASONS]]
    else:
        shown = [{"code": code} for code in dict.fromkeys(reason.code for reason in reasons)]
    body: dict[str, object] = {name: not reasons, "reasons": shown}
    if detail and len(reasons) > MAX_REASONS:
        body["more"] = len(reasons) - MAX_REASONS
    return Answer.json(body, 503 if reasons else 200, indent=1)
