"""Crashes, cuts, stops and bursts, seeded: what was lost, twice or out of order is counted message by message."""
