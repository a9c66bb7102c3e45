"""
The states of a connection and of its protocols, and the events that lead from one state to another.

There are two state machines, and each is one table. A :class:`~natsroute.client.connection.Connection` has a
:class:`State` during all of its life. Each TCP connection that it makes is a
:class:`~natsroute.client.protocol.NatsProtocol` with a :class:`ProtocolState`. Code that needs to know what is possible
asks the state, and only an event changes the state.

A table lists every event that a state allows. Any other event raises :class:`TransitionError`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

S = TypeVar("S", bound=enum.Enum)
E = TypeVar("E", bound=enum.Enum)


class TransitionError(AssertionError):
    """An event that the state does not allow: a defect of natsroute, not of its user or of a server."""


class ConnectionEvent(enum.Enum):
    """
    What happens to a connection.

    Observers are notified of CONNECTED, REFUSED, LAME_DUCK, DISCONNECTED, CONNECT_FAILED and CLOSED, each in a
    :class:`~natsroute.client.status.Change`.
    """

    START = "start"
    ATTEMPT = "attempt"
    CONNECTED = "connected"
    REFUSED = "refused"
    CONNECT_FAILED = "connect failed"
    DRAIN = "drain"
    DRAINED = "drained"
    LAME_DUCK = "lame duck"
    DISCONNECTED = "disconnected"
    STOP = "stop"
    CLOSED = "closed"


class State(enum.Enum):
    """
    What a connection is doing.

    CLOSED: it has not been started, or it has been stopped. WAITING: it waits before the next attempt. CONNECTING: it
    reaches a server, logs in and subscribes. CONNECTED: a server has confirmed its subscriptions. REFUSED: a server has
    accepted the login and refuses a subscription, which is asked for again. DRAINING: it ends its subscriptions.
    LAME_DUCK: its server shuts down soon. It leaves that server, or connects to another one first while the old one
    still delivers. CLOSING: it was stopped, and its TCP connection has not ended yet. RESTARTING: the same, and it
    starts again when the TCP connection has ended.
    """

    CLOSED = "closed"
    WAITING = "waiting"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "not subscribed"
    DRAINING = "draining"
    LAME_DUCK = "lame duck"
    CLOSING = "closing"
    RESTARTING = "restarting"

    def after(self, event: ConnectionEvent) -> State:
        """
        The state that an event leads to.

        :raises TransitionError: the state does not allow the event.
        """
        return _after(TRANSITIONS, self, event)

    # A cached_property costs a look-up, a property would be a call for each batch that is published.
    @cached_property
    def is_connected(self) -> bool:
        """Whether messages can be published, and none of the subscriptions is missing."""
        return self in (State.CONNECTED, State.DRAINING)

    @cached_property
    def is_usable(self) -> bool:
        """Whether messages can be published, and subscriptions drained."""
        return self.is_connected or self is State.REFUSED

    @cached_property
    def has_server(self) -> bool:
        """Whether there is a server to lose: the handshake is done, and we have not closed the connection."""
        return self.is_usable or self is State.LAME_DUCK

    @cached_property
    def is_ending(self) -> bool:
        """Whether it was stopped: no attempt follows, unless it starts again."""
        return self in (State.CLOSING, State.RESTARTING, State.CLOSED)


#: What leads from one state of a connection to another.
TRANSITIONS: Mapping[State, Mapping[ConnectionEvent, State]] = {
    State.CLOSED: {
        ConnectionEvent.START: State.WAITING,
    },
    State.WAITING: {
        ConnectionEvent.ATTEMPT: State.CONNECTING,
        ConnectionEvent.STOP: State.CLOSING,
    },
    State.CONNECTING: {
        ConnectionEvent.CONNECTED: State.CONNECTED,
        ConnectionEvent.REFUSED: State.REFUSED,
        ConnectionEvent.CONNECT_FAILED: State.WAITING,
        ConnectionEvent.STOP: State.CLOSING,
    },
    State.CONNECTED: {
        ConnectionEvent.REFUSED: State.REFUSED,
        ConnectionEvent.DRAIN: State.DRAINING,
        ConnectionEvent.LAME_DUCK: State.LAME_DUCK,
        ConnectionEvent.DISCONNECTED: State.WAITING,
        ConnectionEvent.STOP: State.CLOSING,
    },
    State.REFUSED: {
        ConnectionEvent.CONNECTED: State.CONNECTED,
        ConnectionEvent.DRAIN: State.DRAINING,
        ConnectionEvent.LAME_DUCK: State.LAME_DUCK,
        ConnectionEvent.DISCONNECTED: State.WAITING,
        ConnectionEvent.STOP: State.CLOSING,
    },
    State.DRAINING: {
        ConnectionEvent.DRAINED: State.CONNECTED,
        ConnectionEvent.LAME_DUCK: State.LAME_DUCK,
        ConnectionEvent.DISCONNECTED: State.WAITING,
        ConnectionEvent.STOP: State.CLOSING,
    },
    State.LAME_DUCK: {
        ConnectionEvent.ATTEMPT: State.LAME_DUCK,
        ConnectionEvent.CONNECT_FAILED: State.LAME_DUCK,
        ConnectionEvent.CONNECTED: State.CONNECTED,
        ConnectionEvent.DISCONNECTED: State.WAITING,
        ConnectionEvent.STOP: State.CLOSING,
    },
    State.CLOSING: {
        ConnectionEvent.START: State.RESTARTING,
        ConnectionEvent.CLOSED: State.CLOSED,
    },
    State.RESTARTING: {
        ConnectionEvent.STOP: State.CLOSING,
        ConnectionEvent.CLOSED: State.CLOSED,
    },
}


class ProtocolEvent(enum.Enum):
    """What happens to a protocol."""

    START_TLS = "start TLS"
    LOG_IN = "log in"
    READY = "ready"
    LEAVE = "leave"
    CLOSE = "close"
    LOST = "lost"


class ProtocolState(enum.Enum):
    """
    How far a protocol is.

    AWAITING_INFO: the server has not said anything. STARTING_TLS: its INFO asks for TLS. LOGGING_IN: CONNECT and the
    subscriptions are written, and not confirmed yet. READY: the handshake is done. LAME_DUCK: it leaves the server: its
    subscriptions are ended, and messages that are on their way are still taken. CLOSING: this side has ended the
    connection. CLOSED: the transport is gone.
    """

    AWAITING_INFO = "awaiting INFO"
    STARTING_TLS = "starting TLS"
    LOGGING_IN = "logging in"
    READY = "ready"
    LAME_DUCK = "lame duck"
    CLOSING = "closing"
    CLOSED = "closed"

    def after(self, event: ProtocolEvent) -> ProtocolState:
        """
        The state that an event leads to.

        :raises TransitionError: the state does not allow the event.
        """
        return _after(PROTOCOL_TRANSITIONS, self, event)

    # Cached like those above: these are asked for each chunk that is read, and for each batch that is written.
    @cached_property
    def is_handshake(self) -> bool:
        """Whether the handshake has neither succeeded nor failed."""
        return self in (ProtocolState.AWAITING_INFO, ProtocolState.STARTING_TLS, ProtocolState.LOGGING_IN)

    @cached_property
    def is_established(self) -> bool:
        """Whether the handshake is done, and the connection has not ended since."""
        return self in (ProtocolState.READY, ProtocolState.LAME_DUCK)

    @cached_property
    def is_open(self) -> bool:
        """Whether bytes are read and written."""
        return self.is_handshake or self.is_established


#: What leads from one state of a protocol to another.
PROTOCOL_TRANSITIONS: Mapping[ProtocolState, Mapping[ProtocolEvent, ProtocolState]] = {
    ProtocolState.AWAITING_INFO: {
        ProtocolEvent.START_TLS: ProtocolState.STARTING_TLS,
        ProtocolEvent.LOG_IN: ProtocolState.LOGGING_IN,
        ProtocolEvent.CLOSE: ProtocolState.CLOSING,
        ProtocolEvent.LOST: ProtocolState.CLOSED,
    },
    ProtocolState.STARTING_TLS: {
        ProtocolEvent.LOG_IN: ProtocolState.LOGGING_IN,
        ProtocolEvent.CLOSE: ProtocolState.CLOSING,
        ProtocolEvent.LOST: ProtocolState.CLOSED,
    },
    ProtocolState.LOGGING_IN: {
        ProtocolEvent.READY: ProtocolState.READY,
        ProtocolEvent.CLOSE: ProtocolState.CLOSING,
        ProtocolEvent.LOST: ProtocolState.CLOSED,
    },
    ProtocolState.READY: {
        ProtocolEvent.LEAVE: ProtocolState.LAME_DUCK,
        ProtocolEvent.CLOSE: ProtocolState.CLOSING,
        ProtocolEvent.LOST: ProtocolState.CLOSED,
    },
    ProtocolState.LAME_DUCK: {
        ProtocolEvent.CLOSE: ProtocolState.CLOSING,
        ProtocolEvent.LOST: ProtocolState.CLOSED,
    },
    ProtocolState.CLOSING: {
        ProtocolEvent.LOST: ProtocolState.CLOSED,
    },
    ProtocolState.CLOSED: {},
}


def _after(transitions: Mapping[S, Mapping[E, S]], state: S, event: E) -> S:
    try:
        return transitions[state][event]
    except KeyError:
        raise TransitionError(f"{event} in {state}") from None
