"""The version, kept by incremental: ``python -m incremental.update natsroute --dev`` changes it."""

from incremental import Version

__version__ = Version("natsroute", 26, 11, 0)
__all__ = ["__version__"]
