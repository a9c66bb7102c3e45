"""natsroute.client.state"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.state import (
    PROTOCOL_TRANSITIONS,
    TRANSITIONS,
    ConnectionEvent,
    ProtocolEvent,
    ProtocolState,
    State,
    TransitionError,
)

CONNECTION = """
closed         start          waiting
waiting        attempt        connecting
waiting        stop           closing
connecting     connected      connected
connecting     refused        not subscribed
connecting     connect failed waiting
connecting     stop           closing
connected      refused        not subscribed
connected      drain          draining
connected      lame duck      lame duck
connected      disconnected   waiting
connected      stop           closing
not subscribed connected      connected
not subscribed drain          draining
not subscribed lame duck      lame duck
not subscribed disconnected   waiting
not subscribed stop           closing
draining       drained        connected
draining       lame duck      lame duck
draining       disconnected   waiting
draining       stop           closing
lame duck      attempt        lame duck
lame duck      connect failed lame duck
lame duck      connected      connected
lame duck      disconnected   waiting
lame duck      stop           closing
closing        start          restarting
closing        closed         closed
restarting     stop           closing
restarting     closed         closed
"""

PROTOCOL = """
awaiting INFO start TLS starting TLS
awaiting INFO log in    logging in
awaiting INFO close     closing
awaiting INFO lost      closed
starting TLS  log in    logging in
starting TLS  close     closing
starting TLS  lost      closed
logging in    ready     ready
logging in    close     closing
logging in    lost      closed
ready         leave     lame duck
ready         close     closing
ready         lost      closed
lame duck     close     closing
lame duck     lost      closed
closing       lost      closed
"""


class TableTestCase(SynchronousTestCase):
    """What holds for both tables."""

    def lines(self, transitions: Mapping[Any, Mapping[Any, Any]], widths: tuple[int, int]) -> str:
        """The table as text, in columns."""
        first, second = widths
        return "".join(
            f"\n{state.value:{first}} {event.value:{second}} {following.value}"
            for state, events in transitions.items()
            for event, following in events.items()
        )

    def check_illegal(self, transitions: Mapping[Any, Mapping[Any, Any]], events: Any) -> None:
        """Each event that the table does not list is an error that names both, and no other is."""
        for state, allowed in transitions.items():
            for event in events:
                if event in allowed:
                    self.assertIs(state.after(event), allowed[event])
                else:
                    error = self.assertRaises(TransitionError, state.after, event)
                    self.assertEqual(str(error), f"{event} in {state}")
                    self.assertIsInstance(error, AssertionError)

    def check_reach(self, transitions: Mapping[Any, Mapping[Any, Any]], first: Any) -> None:
        """Each state can be reached from the first one."""
        reached, new = {first}, {first}
        while new:
            new = {following for state in new for following in transitions[state].values()} - reached
            reached |= new
        self.assertEqual(reached, set(transitions))


class ConnectionTests(TableTestCase):
    """The states of a connection."""

    def test_table(self) -> None:
        """Each transition is a decision."""
        self.assertEqual(self.lines(TRANSITIONS, (14, 14)) + "\n", CONNECTION)

    def test_illegal(self) -> None:
        self.check_illegal(TRANSITIONS, ConnectionEvent)

    def test_reach(self) -> None:
        self.assertEqual(set(TRANSITIONS), set(State))
        self.check_reach(TRANSITIONS, State.CLOSED)

    def test_an_end_from_everywhere(self) -> None:
        """Two events lead from any state to CLOSED."""
        for state in set(State) - {State.CLOSED, State.CLOSING}:
            self.assertIs(state.after(ConnectionEvent.STOP).after(ConnectionEvent.CLOSED), State.CLOSED)

    def test_questions(self) -> None:
        """What a state says of itself."""
        self.assertEqual({state for state in State if state.is_connected}, {State.CONNECTED, State.DRAINING})
        self.assertEqual(
            {state for state in State if state.is_usable}, {State.CONNECTED, State.REFUSED, State.DRAINING}
        )
        self.assertEqual(
            {state for state in State if state.has_server},
            {State.CONNECTED, State.REFUSED, State.DRAINING, State.LAME_DUCK},
        )
        self.assertEqual({state for state in State if state.is_ending}, {State.CLOSING, State.RESTARTING, State.CLOSED})

    def test_a_server_is_lost_where_there_is_one(self) -> None:
        """An attempt fails where there is none, or where there is one that shuts down soon."""
        for state, events in TRANSITIONS.items():
            self.assertEqual(ConnectionEvent.DISCONNECTED in events, state.has_server)
            self.assertEqual(ConnectionEvent.CONNECT_FAILED in events, state in (State.CONNECTING, State.LAME_DUCK))


class ProtocolTests(TableTestCase):
    """The states of a protocol."""

    def test_table(self) -> None:
        """Each transition is a decision."""
        self.assertEqual(self.lines(PROTOCOL_TRANSITIONS, (13, 9)) + "\n", PROTOCOL)

    def test_illegal(self) -> None:
        self.check_illegal(PROTOCOL_TRANSITIONS, ProtocolEvent)

    def test_reach(self) -> None:
        self.assertEqual(set(PROTOCOL_TRANSITIONS), set(ProtocolState))
        self.check_reach(PROTOCOL_TRANSITIONS, ProtocolState.AWAITING_INFO)

    def test_questions(self) -> None:
        """Each state that is open is of the handshake, or behind it."""
        handshake = {ProtocolState.AWAITING_INFO, ProtocolState.STARTING_TLS, ProtocolState.LOGGING_IN}
        established = {ProtocolState.READY, ProtocolState.LAME_DUCK}
        self.assertEqual({state for state in ProtocolState if state.is_handshake}, handshake)
        self.assertEqual({state for state in ProtocolState if state.is_established}, established)
        self.assertEqual({state for state in ProtocolState if state.is_open}, handshake | established)

    def test_closed_and_lost_from_everywhere(self) -> None:
        """A state that is open can be closed; a transport can be lost in any state, once."""
        for state, events in PROTOCOL_TRANSITIONS.items():
            self.assertEqual(ProtocolEvent.CLOSE in events, state.is_open)
            self.assertEqual(ProtocolEvent.LOST in events, state is not ProtocolState.CLOSED)
