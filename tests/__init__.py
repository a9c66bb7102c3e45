"""natsroute's tests: ``trial tests``."""
