"""What a ``kamailio.cfg`` says, after its preprocessor: modules, modparams, and routing blocks that are still text."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from natsroute.kamailio.cfg.source import Position, SourceText


@attrs.frozen
class Module:
    """
    A ``loadmodule``.

    :ivar name: such as ``nats``, without folder and ``.so``.
    """

    name: str
    position: Position


@attrs.frozen
class Modparam:
    """
    A ``modparam`` or ``modparamx`` for one module.

    :ivar module: the module. One for ``"nats|other"`` is two of these.
    :ivar name: the parameter.
    :ivar value: an integer, or text without its quotes and with its escapes resolved.
    :ivar position: where the value stands.
    """

    module: str
    name: str
    value: int | str
    position: Position


@attrs.frozen
class Block:
    """
    A routing block.

    :ivar kind: ``route``, ``event_route``, ``request_route``, ``failure_route`` and so on.
    :ivar name: what stands in the square brackets; empty for ``request_route`` and ``route {``.
    :ivar body: what stands between the braces, and a blank where the closing brace is. Comments, directives and what
        ``#!ifdef`` skips are blank, character by character. What ``#!define`` and ``#!subst`` replace is replaced. A
        string stands as it was written, with its quotes and escapes; several strings in a row have become one. See
        :func:`natsroute.kamailio.cfg.strings.string_value` for what a string means.
    :ivar position: where the block begins.
    """

    kind: str
    name: str
    body: SourceText
    position: Position


@attrs.frozen
class CfgWarning:
    """
    Something that Kamailio ignores in silence.

    :ivar text: what is ignored, and what to do about it.
    """

    position: Position
    text: str

    def __str__(self) -> str:
        return f"{self.position}: {self.text}"


@attrs.frozen
class KamailioCfg:
    """
    A ``kamailio.cfg`` that has been read.

    :ivar path: the path of the file, as it was given.
    :ivar modules: in order.
    :ivar modparams: in order.
    :ivar blocks: in order.
    :ivar definitions: what ``#!define`` and its kin define, by name; with UTF-8 or the bytes of the file.
    :ivar parameters: the global parameters that natsroute uses, by name: ``max_while_loops``.
    :ivar warnings: what Kamailio ignores in silence, in order.
    :ivar files: the paths of the file and of those that it includes.
    """

    path: str
    modules: tuple[Module, ...] = ()
    modparams: tuple[Modparam, ...] = ()
    blocks: tuple[Block, ...] = ()
    definitions: Mapping[bytes, bytes] = attrs.field(factory=dict)
    warnings: tuple[CfgWarning, ...] = ()
    parameters: Mapping[str, int] = attrs.field(factory=dict)
    files: tuple[str, ...] = ()

    def modparams_of(self, module: str) -> list[Modparam]:
        """The modparams of one module, in order."""
        return [modparam for modparam in self.modparams if modparam.module == module]
