"""What a route sends with: the types of the functions that publish, ask and answer for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from twisted.internet.defer import Deferred, fail

from natsroute.errors import MisuseError, NatsrouteError
from natsroute.message import Message
from natsroute.wire.headers import HeaderValues

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from natsroute.wire.publish_options import PublishOptions

#: Seconds that a request waits for its answer, if it says nothing else.
REQUEST_TIMEOUT = 5.0


class Publish(Interface):
    """Publishes a message; see :meth:`natsroute.publishing.outlet.Outlet.publish`."""

    def __call__(
        self,
        subject: str,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        **options: Unpack[PublishOptions],
    ) -> Deferred[Any]: ...


class Requests(Interface):
    """Sends requests; see :class:`natsroute.daemon.sending.requesting.Requesting`."""

    def request(
        self, subject: str, payload: object = b"", timeout: float = REQUEST_TIMEOUT, headers: HeaderValues | None = None
    ) -> Deferred[Message]:
        """Send a request, and wait for the answer."""

    def request_many(
        self,
        subject: str,
        payload: object = b"",
        timeout: float = REQUEST_TIMEOUT,
        headers: HeaderValues | None = None,
        *,
        max_messages: int | None = None,
        stall: float | None = None,
        sentinel: Callable[[Message], object] | bool | None = None,
        on_answer: Callable[[Message], object] | None = None,
    ) -> Deferred[list[Message]]:
        """Send a request, and wait for several answers."""

    @property
    def key_value(self) -> Callable[..., Any]:
        """Gives a key-value bucket; see :meth:`natsroute.daemon.sending.key_values.KeyValues.key_value`."""


class PublishAll(Interface):
    """Publishes a batch; see :meth:`natsroute.daemon.sending.batch_publish.BatchPublish.publish_all`."""

    def __call__(self, messages: Iterable[Any], *, policy: str | None = None) -> Deferred[Any]: ...


def no_publish_all(messages: Iterable[Any], *, policy: str | None = None) -> Deferred[Any]:
    """Stands for :class:`PublishAll` where there is nothing that publishes batches."""
    return fail(MisuseError("there is nothing that publishes batches"))


class NoRequests:
    """Stands for :class:`Requests` where there is nothing that sends requests."""

    def request(self, subject: str, *arguments: Any, **options: Any) -> Deferred[Any]:
        """
        Fail.

        :return: fails with :class:`~natsroute.errors.MisuseError`.
        """
        return fail(MisuseError(f"there is nothing that sends requests, such as the one to {subject!r}"))

    request_many = request

    def key_value(self, bucket: str, *arguments: Any, **options: Any) -> Any:
        """
        Fail.

        :raises MisuseError: always.
        """
        raise MisuseError(f"there is nothing that has key-value buckets, such as {bucket!r}")


class Answer(Interface):
    """Answers a message without a confirmation; see :meth:`natsroute.daemon.sending.answering.Answering.answer`."""

    def __call__(self, reply: str, payload: object, headers: HeaderValues | None = None) -> Deferred[None] | None: ...


#: Fails the Deferred of a message that cannot be published. It may be called in any thread.
RefusePublish = Callable[[NatsrouteError], "Deferred[None]"]
