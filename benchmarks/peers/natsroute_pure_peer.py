"""natsroute without its compiled hot path, else as in :mod:`~benchmarks.peers.natsroute_peer`."""

from __future__ import annotations

from benchmarks.load.hot_path import PURE_ENVIRONMENT, require_pure
from benchmarks.peers import Peer, natsroute_peer

PEER = Peer(
    "natsroute in pure Python (NATSROUTE_PURE=1), default settings",
    roles=natsroute_peer.PEER.roles,
    environment=PURE_ENVIRONMENT,
)

if __name__ == "__main__":
    require_pure()
    natsroute_peer.main()
