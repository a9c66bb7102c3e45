"""Kamailio's native script language: event routes of ``kamailio.cfg``, compiled to closures."""
