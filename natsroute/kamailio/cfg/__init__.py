"""Reads ``kamailio.cfg``: its preprocessor, its modparams, and the text of its routing blocks."""
