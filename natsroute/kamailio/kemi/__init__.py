"""KEMI: scripts in Python and Lua that Kamailio calls for an event, and the object ``KSR`` that they use."""
