"""The middleware that natsroute brings. Its public names are in :mod:`natsroute.middleware`."""
