"""The code that the settings name: loading it, and going over to another version of it."""
