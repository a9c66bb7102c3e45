"""The status page: what it is made of, and the resources that serve it."""
