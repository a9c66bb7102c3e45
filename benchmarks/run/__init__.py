"""Runs the scenarios: the server, the processes, the rounds."""
