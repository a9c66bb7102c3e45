"""NATS micro services: the event routes that respond, announced on ``$SRV`` (NATS ADR-32)."""
