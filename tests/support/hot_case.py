"""Tests of the hot path, for each implementation."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from natsroute.hot import pure

try:
    from natsroute.hot import _compiled
except ImportError:
    if os.environ.get("REQUIRE_HOT_PATH") == "compiled":
        raise
    _compiled = None  # type: ignore[assignment]

#: The compiled implementation, if it is there. It is even if ``NATSROUTE_PURE`` is set.
COMPILED: ModuleType | None = _compiled


class HotCase:
    """
    The base of the tests of both implementations: classes without ``TestCase``. See :func:`for_both`.

    :cvar hot: the implementation.
    """

    hot: Any


def for_both(names: dict[str, Any], base: type) -> None:
    """
    Make a test case for each implementation of each class of tests in a module.

    :param names: the module's ``globals()``.
    :param base: the class of test cases.
    """
    for name, tests in list(names.items()):
        if isinstance(tests, type) and issubclass(tests, HotCase) and tests is not HotCase:
            for implementation, module in (("Pure", pure), ("Compiled", COMPILED)):
                attributes: dict[str, Any] = {"hot": module, "__module__": names["__name__"], "__doc__": tests.__doc__}
                if module is None:
                    attributes["skip"] = "the hot path is not compiled"
                own = f"{implementation}{name}"
                names[own] = type(own, (tests, base), {**attributes, "__qualname__": own})
