"""Tests with the real Kamailio, its nats module and SIPp."""
