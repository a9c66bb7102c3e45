"""Kamailio with a Lua function as ``event_callback``, else as in :mod:`~benchmarks.peers.kamailio_peer`."""

from __future__ import annotations

from functools import partial

from benchmarks.peers import Peer, kamailio_peer

PEER = Peer(
    "Kamailio with its nats module, an event_callback in Lua, two publish workers",
    roles=("script",),
    missing=partial(kamailio_peer.missing, lua=True),
    refuses_mixed=kamailio_peer.REFUSES_MIXED,
    fixed_reply=kamailio_peer.PEER.fixed_reply,
)

if __name__ == "__main__":
    kamailio_peer.main(lua=True)
