"""natsroute with a Lua function as ``event_callback``, else as in :mod:`~benchmarks.peers.natsroute_script_peer`."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks.peers import Peer, natsroute_script_peer


def _missing() -> str:
    return "" if find_spec("lupa") else "lupa is not installed (pip install 'natsroute[lua]')"


PEER = Peer(
    "natsroute with the kamailio.cfg and the event_callback in Lua that Kamailio has",
    roles=natsroute_script_peer.PEER.roles,
    missing=_missing,
    refuses_mixed=natsroute_script_peer.PEER.refuses_mixed,
    fixed_reply=natsroute_script_peer.PEER.fixed_reply,
)

if __name__ == "__main__":
    natsroute_script_peer.main(lua=True)
