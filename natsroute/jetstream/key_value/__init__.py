"""Key-value buckets (NATS ADR-8)."""
