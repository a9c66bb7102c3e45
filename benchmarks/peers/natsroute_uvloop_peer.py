"""natsroute on Twisted's asyncio reactor with uvloop, else as in :mod:`~benchmarks.peers.natsroute_peer`."""

from __future__ import annotations

import uvloop

from benchmarks.peers import Peer, natsroute_peer

PEER = Peer("natsroute on the asyncio reactor with uvloop", roles=natsroute_peer.PEER.roles)

if __name__ == "__main__":
    from twisted.internet import asyncioreactor

    asyncioreactor.install(uvloop.new_event_loop())
    natsroute_peer.main()
