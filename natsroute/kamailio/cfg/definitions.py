"""What ``#!define`` and its kin define, and what is defined from the start."""

from __future__ import annotations

from collections.abc import Mapping

#: The version of Kamailio that natsroute claims to be: that of its script language and of its modules.
KAMAILIO_VERSION = (6, 1, 4)


def built_in() -> dict[str, str]:
    """
    What is defined before the first line: ``KAMAILIO_6``, ``KAMAILIO_6_1``, ``KAMAILIO_6_1_4``, ``KAMAILIO_VERSION``
    and ``OS_NAME`` as in Kamailio 6.1, and ``NATSROUTE``, which Kamailio does not have.
    """
    major, minor, patch = KAMAILIO_VERSION
    return {
        f"KAMAILIO_{major}": "",
        f"KAMAILIO_{major}_{minor}": "",
        f"KAMAILIO_{major}_{minor}_{patch}": "",
        "KAMAILIO_VERSION": str(major * 1_000_000 + minor * 1_000 + patch),
        "OS_NAME": "linux",
        "NATSROUTE": "",
    }


class DefinitionError(ValueError):
    """
    Something that cannot be defined.

    :ivar problem: why not.
    :ivar remedy: what to do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class Definitions:
    """
    The names that are defined, with their values. A name without a value has the value ``""``.

    :param environment: for ``#!defenv``.

    :ivar values: the values by name, as bytes: UTF-8, or the bytes of the file.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.values = {_bytes(name): _bytes(value) for name, value in built_in().items()}

    def __contains__(self, name: str) -> bool:
        return _bytes(name) in self.values

    def get(self, name: str) -> str | None:
        """The value of a name; None if it is not defined."""
        value = self.values.get(_bytes(name))
        return None if value is None else value.decode("utf-8", "surrogateescape")

    def define(self, name: str, value: str) -> None:
        """
        ``#!define``.

        :raises DefinitionError: the name is defined already.
        """
        if name in self:
            raise DefinitionError(
                f"{name} is defined already", "Write #!redefine to replace it, or #!trydef to keep the first value"
            )
        self.values[_bytes(name)] = _bytes(value)

    def try_define(self, name: str, value: str) -> None:
        """``#!trydef``: a name that is defined already keeps its value."""
        self.values.setdefault(_bytes(name), _bytes(value))

    def redefine(self, name: str, value: str) -> None:
        """``#!redefine``: the name gets this value, whether it has one or not."""
        self.values[_bytes(name)] = _bytes(value)

    def undefine(self, name: str) -> None:
        """
        ``#!undef``.

        :raises DefinitionError: the name is not defined.
        """
        if name not in self:
            raise DefinitionError(f"{name} is not defined", "Write #!tryundef if that is all right")
        del self.values[_bytes(name)]

    def try_undefine(self, name: str) -> None:
        """``#!tryundef``."""
        self.values.pop(_bytes(name), None)

    def from_environment(self, text: str, *, required: bool, in_quotes: bool) -> None:
        """
        ``#!defenv`` and its kin.

        :param text: ``NAME``, or ``NAME=VARIABLE``.
        :param required: the variable must be set.
        :param in_quotes: the value is put between double quotes, as it is.
        :raises DefinitionError: the variable is not set, or the name is defined already.
        """
        name, equals, variable = text.partition("=")
        if not name or (equals and not variable):
            raise DefinitionError(f"{text!r} is not NAME or NAME=VARIABLE", "Write #!defenv NAME=VARIABLE")
        value = self._environment.get(variable or name)
        if value is not None:
            self.define(name, f'"{value}"' if in_quotes else value)
        elif required:
            raise DefinitionError(
                f"the environment variable {variable or name} is not set", "Set it, or write #!trydefenv"
            )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
