"""The program: settings, and the service that ``twistd natsroute`` runs."""
