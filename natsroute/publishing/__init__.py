"""From a payload to a confirmed message: workers, each with a connection, over one pool of threads."""
