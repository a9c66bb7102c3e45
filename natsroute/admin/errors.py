"""
The errors of admin methods and of their client::

    AdminError
    ├── MethodError           .code: the method was not called, or failed
    ├── NoServiceError        .path: no service listens at the socket
    ├── NoAccessError         .path: the socket belongs to another user
    ├── NoAnswerError         the connection ended before the answer, or the answer is malformed
    └── AnswerTimeoutError    .seconds: no answer came in time
"""

from __future__ import annotations

from natsroute.errors import NatsrouteError


class AdminError(NatsrouteError):
    """A call of an admin method failed."""


class MethodError(AdminError):
    """
    The method was not called, or failed.

    :ivar code: the code of JSON-RPC 2.0; see :class:`natsroute.admin.rpc.Code`.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class NoServiceError(AdminError):
    """
    No service listens at the socket.

    :ivar path: the path of the socket.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"no natsroute service listens at {path}")
        self.path = path


class NoAccessError(AdminError):
    """
    The socket belongs to another user. Run the command as the user of the service, or as root.

    :ivar path: the path of the socket.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"no permission for {path}. Run this as the user of the service, or as root")
        self.path = path


class NoAnswerError(AdminError):
    """The connection ended before the answer, or the answer is malformed."""


class AnswerTimeoutError(AdminError):
    """
    No answer came in time: the reactor of the service is blocked, or the method takes long.

    :ivar seconds: how long the client waited.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s: the service is blocked, or the method takes longer")
        self.seconds = seconds
