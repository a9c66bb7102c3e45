"""The HTTP site of a service: health, and everything that operators look at. twisted.web, with limits of its own."""
