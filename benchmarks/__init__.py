"""Compares natsroute with other NATS clients: ``python -m benchmarks --help``."""
