"""Publishing to streams: each message until a stream has acknowledged it."""
