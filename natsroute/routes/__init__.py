"""From a message to your code."""
