"""
natsroute with all settings from environment variables: ``twistd --nodaemon --pidfile= --python natsroute.tac``.

The variables are NATSROUTE_NATS_URL, NATSROUTE_SUBJECT_QUEUE_GROUP, NATSROUTE_EVENT_ROUTES and so on. Commas separate
several values.
"""

from twisted.application.service import Application

from natsroute.daemon.options import service_from_environment

application = Application("natsroute")
service_from_environment().setServiceParent(application)
