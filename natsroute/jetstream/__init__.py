"""JetStream: streams, consumers, publishing with acknowledgement, and key-value buckets."""
