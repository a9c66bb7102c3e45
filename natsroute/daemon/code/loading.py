"""Loads the code that the settings name: files and modules of event routes, and the event callback."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType

import attrs

from natsroute.daemon.code.own_modules import SourceLoader, loading_begins
from natsroute.daemon.settings.fields import names_file
from natsroute.errors import RouteError, SettingError
from natsroute.kamailio.user_functions import ScriptFunction, script_functions_in
from natsroute.routes.event import RouteFunction
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.signatures import check_function

_PACKAGE = str(Path(__file__).parents[2]) + os.sep


@attrs.frozen
class Code:
    """
    What the files and modules of event routes have in them.

    :ivar event_routes: all event routes together.
    :ivar script_functions: the functions for Kamailio scripts.
    """

    event_routes: EventRoutes
    script_functions: tuple[ScriptFunction, ...]


def load_code(names: Sequence[str], own: Iterable[EventRoutes] = ()) -> Code:
    """
    Load event routes, and functions for Kamailio scripts.

    :param names: files and modules.
    :param own: event routes of the program, which come first.
    :raises SettingError: a file or module cannot be loaded or has neither, or two routes have the same name.
    """
    loading_begins()
    found: dict[int, EventRoutes] = {}  # by identity: a module may import the EventRoutes of another
    functions: dict[ScriptFunction, None] = {}
    for name in names:
        module = _load(name)
        in_module = {id(value): value for value in vars(module).values() if isinstance(value, EventRoutes)}
        for_scripts = script_functions_in(vars(module).values())
        if not in_module and not for_scripts:
            raise SettingError(
                "event_routes",
                name,
                "there is no EventRoutes in it, and no function for scripts",
                "Write event_route = EventRoutes() and decorate with it, or decorate with @script_function",
            )
        found.update(in_module)
        functions.update(dict.fromkeys(for_scripts))
    try:
        return Code(EventRoutes.merged([*own, *found.values()]), tuple(functions))
    except RouteError as error:
        raise SettingError(
            "event_routes", ", ".join(names), str(error), "Each route can be defined only once"
        ) from None


def load_callback(name: str) -> RouteFunction:
    """
    Load the event callback.

    :param name: ``package.module:function`` or ``package.module.function``.
    :raises SettingError: it cannot be imported, or cannot be called.
    """
    module_name, colon, path = name.partition(":")
    if not colon:
        module_name, _, path = name.rpartition(".")
    remedy = "Write PACKAGE.MODULE:FUNCTION"
    loading_begins()
    if not module_name or not path:
        raise SettingError("event_callback", name, "it names no function in a module", remedy)
    found: object = _guarded("event_callback", name, lambda: _import(module_name))
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise SettingError("event_callback", name, f"there is no {path!r} in {module_name}", remedy) from None
    if not callable(found):
        raise SettingError("event_callback", name, "it cannot be called", "Name a function")
    try:
        check_function(found, "the event")
    except RouteError as error:
        raise SettingError("event_callback", name, str(error), "Fix the function") from None
    return found


def _load(name: str) -> ModuleType:
    if names_file(name):
        path = Path(name)
        if not path.is_file():
            raise SettingError("event_routes", name, "there is no such file", "Name a Python file or a module")
        return _guarded("event_routes", name, lambda: _run_file(path))
    return _guarded("event_routes", name, lambda: _import(name))


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # twistd, unlike python, does not look there by itself
    return importlib.import_module(name)


def _run_file(path: Path) -> ModuleType:
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # so that the file can import modules beside it, as a script can
    name = f"natsroute_routes_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=SourceLoader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _guarded(setting: str, name: str, load: Callable[[], ModuleType]) -> ModuleType:
    """Load code. Any exception in it becomes an error that names the file and the line."""
    try:
        return load()
    except SyntaxError as error:
        problem = f"syntax error in line {error.lineno} of {error.filename}: {error.msg}"
        raise SettingError(setting, name, problem, "Fix that line") from None
    except (Exception, SystemExit) as error:
        where = _own_line(error)
        problem = f"{type(error).__name__}: {error} (line {where.lineno} of {where.filename})"
        raise SettingError(setting, name, problem, "Fix the error, so that the code can be imported") from None


def _own_line(error: BaseException) -> traceback.FrameSummary:
    """The last line of an error's traceback that is not natsroute's: the mistake of a decoration is in the program."""
    lines = traceback.extract_tb(error.__traceback__)
    return next((line for line in reversed(lines) if not line.filename.startswith(_PACKAGE)), lines[-1])
