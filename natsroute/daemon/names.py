"""The names of services in one application."""

from __future__ import annotations

from typing import Any


def free_name(collection: Any, name: str) -> str:
    """
    A name that no service of the collection has.

    :param collection: the :class:`~twisted.application.service.IServiceCollection`.
    :param name: the name that is wanted. If a service has it, it gets a number.
    """
    free, number = name, 1
    while _has_service(collection, free):
        number += 1
        free = f"{name}-{number}"
    return free


def _has_service(collection: Any, name: str) -> bool:
    try:
        collection.getServiceNamed(name)
    except KeyError:
        return False
    return True
