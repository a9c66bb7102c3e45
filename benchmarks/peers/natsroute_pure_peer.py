"""natsroute without its compiled hot path, else as in :mod:`~benchmarks.peers.natsroute_peer`."""

from __future__ import annotations

from benchmarks.load.hot_path import PURE, require_pure
from benchmarks.peers import Peer, natsroute_peer

PEER = Peer(
    f"natsroute in pure Python ({PURE}=1), default settings",
    roles=natsroute_peer.PEER.roles,
    environment={PURE: "1"},
)

if __name__ == "__main__":
    require_pure()
    natsroute_peer.main()
