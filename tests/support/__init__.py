"""What the tests share: servers, clients, certificates, processes and in-memory doubles."""

from pathlib import Path

#: The folder in which ``natsroute``, ``tests`` and ``benchmarks`` are.
ROOT = Path(__file__).parents[2]
