"""From a payload to a confirmed message: publish workers, each with its own connection, and one thread pool."""
