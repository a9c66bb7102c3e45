"""natsroute without its compiled hot path, else as in :mod:`~benchmarks.peers.natsroute_script_peer`."""

from __future__ import annotations

from benchmarks.load.hot_path import PURE_ENVIRONMENT, require_pure
from benchmarks.peers import Peer, natsroute_script_peer

PEER = Peer(
    "natsroute in pure Python (NATSROUTE_PURE=1) with the kamailio.cfg that Kamailio has",
    roles=natsroute_script_peer.PEER.roles,
    refuses_mixed=natsroute_script_peer.PEER.refuses_mixed,
    fixed_reply=natsroute_script_peer.PEER.fixed_reply,
    environment=PURE_ENVIRONMENT,
)

if __name__ == "__main__":
    require_pure()
    natsroute_script_peer.main()
