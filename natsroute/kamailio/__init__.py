"""A Kamailio script's world, outside Kamailio: pseudo-variables and transformations."""
