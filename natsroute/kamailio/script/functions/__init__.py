"""The functions that a script can call."""
