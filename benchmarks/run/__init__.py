"""Runs scenarios: the server, the processes, the rounds and their results."""
