"""
natsroute with a Python function as ``event_callback``, else as in :mod:`~benchmarks.peers.natsroute_script_peer`.

There is no such peer of Kamailio: its 5.6 never calls a function in Python for a message.
"""

from __future__ import annotations

from benchmarks.peers import Peer, natsroute_script_peer

PEER = Peer(
    "natsroute with that kamailio.cfg and an event_callback in Python (KEMI)",
    roles=natsroute_script_peer.PEER.roles,
    refuses_mixed=natsroute_script_peer.PEER.refuses_mixed,
    fixed_reply=natsroute_script_peer.PEER.fixed_reply,
)

if __name__ == "__main__":
    natsroute_script_peer.main(python=True)
