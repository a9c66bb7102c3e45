"""JSON as json-c reads and prints it, which Kamailio's ``json`` module uses."""
