"""
All peers and all scenarios: the modules in their folders. Adding a file adds a peer or a scenario.

The modules of peers and scenarios do not import this one, so a peer's process imports no other peer.
"""

from __future__ import annotations

import pkgutil
import sys
from dataclasses import replace
from importlib import import_module

from benchmarks import peers, scenarios
from benchmarks.peers import NEWER_PYTHON, OURS, PURE_OURS, Peer
from benchmarks.run.scenario import Scenario

_SUFFIX = "_peer"


def _peers() -> dict[str, Peer]:
    modules = sorted(found.name for found in pkgutil.iter_modules(peers.__path__) if found.name.endswith(_SUFFIX))
    names = {module.removesuffix(_SUFFIX).replace("_", "-"): f"{peers.__name__}.{module}" for module in modules}
    return {name: _peer(names[name]) for name in sorted(names, key=_order)}


def _order(name: str) -> tuple[bool, bool, str]:
    """natsroute first, then natsroute in pure Python, then the others by name."""
    return name != OURS, name != PURE_OURS, name


def _peer(module: str) -> Peer:
    try:
        peer: Peer = import_module(module).PEER
    except ModuleNotFoundError as error:
        peer = _absent(error.name or "")
    return replace(peer, module=module)


def _absent(library: str) -> Peer:
    """A peer whose library is not installed."""
    needed = NEWER_PYTHON.get(library, sys.version_info[:2])
    if sys.version_info[:2] < needed:
        version = ".".join(map(str, needed))
        folder = f".venv-{version}"
        install = f"python{version} -m venv {folder} && {folder}/bin/pip install -e '.[dev]'"
        reason = f"it needs Python {version} ({install}, then --second-python {folder}/bin/python)"
    else:
        reason = f"{library} is not installed (pip install -e '.[dev]')"
    return Peer("", missing=lambda: reason, min_python=needed)


def _scenarios() -> dict[str, Scenario]:
    names = [found.name for found in pkgutil.iter_modules(scenarios.__path__)]
    found: dict[str, Scenario] = {name: import_module(f"{scenarios.__name__}.{name}").SCENARIO for name in names}
    return dict(sorted(found.items(), key=lambda item: item[1].order))


#: By the names that the report shows, in the order of each round.
PEERS = _peers()
#: By name, in the order of the report.
SCENARIOS = _scenarios()
