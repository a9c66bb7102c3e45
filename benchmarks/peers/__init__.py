"""
The peers, a module for each. Run as a program with a :class:`~benchmarks.job.Job` it plays the role that the job
names, tells ``ready`` when the server has its subscription, and at the end what it received.

A peer to come is a module here and its name in ``PEERS``.
"""

#: Modules by the names that the table shows, in the order of each round.
PEERS = {"natsroute": "natsroute_peer", "nats-py": "nats_py_peer"}
