"""A living NATS connection on the reactor."""
