"""A Kamailio script's world, outside Kamailio: pseudo-variables, transformations, and functions for its scripts."""

from __future__ import annotations

from natsroute.kamailio.user_functions import script_function

__all__ = ["script_function"]
