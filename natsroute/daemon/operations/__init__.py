"""What operators have of a running service: HTTP, admin methods, metrics, logs, tracing and systemd."""
