"""Admin methods: JSON-RPC over a Unix socket and over NATS, and their client"""
