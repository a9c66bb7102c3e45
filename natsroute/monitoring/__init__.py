"""What operators see of a running service: whether it is ready, what it has done, and what it is doing."""
