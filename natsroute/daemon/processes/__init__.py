"""``processes``: a parent that supervises several processes with the same settings."""
