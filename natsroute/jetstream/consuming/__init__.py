"""Reading streams: pulls, their statuses, acknowledgements, and reading in order."""
