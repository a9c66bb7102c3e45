"""
The modules in Python that belong to the event routes, and loading them anew.

A module belongs to them if its file is in the folder of a routes file or of the KEMI script, in the working directory,
or in a package that the settings name, and if it was imported since natsroute loaded code for the first time. So a
module that a program had imported before it made its service stays. The standard library, installed packages that the
settings do not name, and natsroute itself always stay.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

from natsroute.daemon.settings.fields import names_file
from natsroute.daemon.settings.settings import Settings

_NATSROUTE = Path(__file__).parents[2]

#: What was imported before natsroute loaded code for the first time in this process; None before.
_of_program: frozenset[str] | None = None


def loading_begins() -> None:
    """To be called before code is loaded: what is imported from the first time on may be loaded anew."""
    global _of_program
    if _of_program is None:
        _of_program = frozenset(sys.modules)


class SourceLoader(importlib.machinery.SourceFileLoader):
    """
    Loads a module from its source, whatever ``__pycache__`` has. A file that was changed twice within a second, and is
    as long as before, would be taken for the old one there.
    """

    def path_stats(self, path: str) -> dict[str, int]:
        """Without these, nothing is read from ``__pycache__`` and nothing is written there."""
        raise OSError


class _Finder(MetaPathFinder):
    """Finds the modules that a test accepts, and has them loaded from their source."""

    def __init__(self, own: OwnFiles) -> None:
        self._own = own

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See :meth:`importlib.abc.MetaPathFinder.find_spec`."""
        if fullname in sys.builtin_module_names:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if found is None or type(found.loader) is not importlib.machinery.SourceFileLoader:
            return None
        if found.origin is None or found.origin not in self._own:
            return None
        found.loader = SourceLoader(fullname, found.origin)
        found.cached = None
        return found


class OwnFiles:
    """
    Which files of Python belong to the event routes.

    ``path in own`` tells whether one does.

    :param settings: name the code.
    """

    def __init__(self, settings: Settings) -> None:
        self._folders = {_real(Path(name).parent) for name in (*_files(settings), settings.kemi_script) if name}
        working_directory = _real(Path.cwd())
        if working_directory != Path(working_directory.anchor):
            self._folders.add(working_directory)
        self._named = {path for name in named_modules(settings) for path in _package_of(name)}
        self._others = {*map(_real, _of_others()), _NATSROUTE}

    def __contains__(self, path: str) -> bool:
        real = _real(Path(path))
        around = {real, *real.parents}
        if _NATSROUTE in around:
            return False
        if around & self._named:
            return True
        # Of a folder with code of others in it, such as a virtual environment, only that is theirs; and the reverse.
        nearest = next((one for one in (real, *real.parents) if one in self._others or one in self._folders), None)
        return nearest in self._folders and nearest not in self._others


def own_modules(settings: Settings) -> Iterator[tuple[str, ModuleType]]:
    """The modules that belong to the event routes, and are loaded."""
    own = OwnFiles(settings)
    named = {*named_modules(settings)}
    before = frozenset() if _of_program is None else _of_program
    for name, module in sys.modules.copy().items():
        if name in ("__main__", "__mp_main__") or (name in before and name not in named):
            continue
        if any(path in own for path in _files_of(module)):
            yield name, module


def own_files(settings: Settings) -> set[str]:
    """The files that were loaded for the event routes: what a change of changes them."""
    files = {file for _, module in own_modules(settings) for file in _files_of(module) if not os.path.isdir(file)}
    files.update(name for name in (*_files(settings), settings.kemi_script) if name)
    if settings.cfg is not None:
        files.update(settings.cfg.files)
    return {os.path.realpath(file) for file in files}


class Reimport:
    """
    Loads modules anew: those of the event routes are gone from ``sys.modules``, until :meth:`undo`, or for ever.

    :param settings: name the code, before and after.
    """

    def __init__(self, *settings: Settings) -> None:
        self._settings = settings
        self._finders = [_Finder(OwnFiles(one)) for one in settings]
        self._before: dict[str, ModuleType] = self._own()
        for name in self._before:
            del sys.modules[name]
        sys.meta_path[:0] = self._finders
        importlib.invalidate_caches()

    def _own(self) -> dict[str, ModuleType]:
        return {name: module for one in self._settings for name, module in own_modules(one)}

    def end(self) -> None:
        """Keep what was loaded."""
        for finder in self._finders:
            if finder in sys.meta_path:
                sys.meta_path.remove(finder)
        self._before.clear()

    def undo(self) -> None:
        """Put the modules back that were there before."""
        for name in self._own():
            sys.modules.pop(name, None)
        sys.modules.update(self._before)
        self.end()


def named_modules(settings: Settings) -> list[str]:
    """The modules that the settings name, not by a file."""
    names = [name for name in settings.event_routes if not names_file(name)]
    if settings.event_callback and not settings.kemi_script:
        module, colon, _ = settings.event_callback.partition(":")
        names.append(module if colon else module.rpartition(".")[0])
    return names


def _files(settings: Settings) -> list[str]:
    return [name for name in settings.event_routes if names_file(name)]


def _files_of(module: ModuleType) -> list[str]:
    """The file of a module in Python; of a namespace package, its folders; nothing for others."""
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return [file] if isinstance(loader, importlib.machinery.SourceFileLoader) else []
    return [str(folder) for folder in getattr(module, "__path__", ())]


def _package_of(name: str) -> Iterator[Path]:
    """The folder of the outermost package with an ``__init__.py`` that a module is in, or its file."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        file = getattr(sys.modules.get(".".join(parts[:count])), "__file__", None)
        if isinstance(file, str):
            path = _real(Path(file))
            yield path.parent if path.name == "__init__.py" else path
            return


def _of_others() -> Iterable[Path]:
    paths = sysconfig.get_paths()
    names = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    names.update(getattr(site, "getsitepackages", list)())
    names.add(site.getusersitepackages())
    names.update(folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages"))
    return map(Path, names)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
