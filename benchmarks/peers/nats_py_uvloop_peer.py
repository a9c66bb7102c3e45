"""nats-py on uvloop, else as in :mod:`~benchmarks.peers.nats_py_peer`."""

from __future__ import annotations

import uvloop

from benchmarks.peers import Peer, nats_py_peer

PEER = Peer("nats-py on uvloop", roles=nats_py_peer.PEER.roles)

if __name__ == "__main__":
    uvloop.run(nats_py_peer.run())
