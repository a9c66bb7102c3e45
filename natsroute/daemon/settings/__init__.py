"""The settings: what can be set, where it comes from, and one validated value of all."""
