"""The plugin by which ``twistd`` finds natsroute."""

from twisted.application.service import ServiceMaker

natsroute = ServiceMaker(
    "natsroute",
    "natsroute.daemon.options",
    "Run event routes in Python for NATS messages, as Kamailio's nats module does.",
    "natsroute",
)
