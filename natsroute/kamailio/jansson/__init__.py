"""JSON as the jansson library reads and prints it, which Kamailio's ``jansson`` module uses."""
