"""Tests against the real Kamailio, its nats module and SIPp."""
