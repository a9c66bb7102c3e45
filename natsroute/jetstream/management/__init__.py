"""Streams and consumers at the server: their configuration, and whether they are as the settings say."""
