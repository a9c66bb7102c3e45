"""The names of the functions that Kamailio calls when it loads a script in Python, and the modparams that set them."""

from __future__ import annotations

import attrs

from natsroute.kamailio.cfg.document import KamailioCfg


@attrs.frozen
class HookName:
    """
    The name of a hook.

    :ivar name: of the function or method; empty: there is none.
    :ivar modparam: what sets it, with its position; empty if nothing does. A hook that a modparam names must be there.
    """

    name: str
    modparam: str = ""


@attrs.frozen
class HookNames:
    """
    The hooks of both modules for Python.

    :ivar mod_init: the function of a script for ``app_python3`` that returns the object with the callbacks.
    :ivar child_init: the method of that object that is called for a consumer.
    :ivar script_init: the function of a script for ``app_python3s`` that is called first.
    :ivar script_child_init: the function that is called for a consumer.
    """

    mod_init: HookName = HookName("mod_init")
    child_init: HookName = HookName("child_init")
    script_init: HookName = HookName("script_init")
    script_child_init: HookName = HookName("script_child_init")

    @property
    def are_functions(self) -> bool:
        """Whether modparams say that the script is one for ``app_python3s``."""
        return bool(self.script_init.modparam or self.script_child_init.modparam) and not self.mod_init.modparam


#: The parameters of Kamailio's modules, and the fields that they set.
_MODPARAMS = {
    ("app_python3", "mod_init_function"): "mod_init",
    ("app_python3", "child_init_method"): "child_init",
    ("app_python3s", "script_init"): "script_init",
    ("app_python3s", "script_child_init"): "script_child_init",
}


def hook_names(cfg: KamailioCfg | None) -> HookNames:
    """
    The hooks that a ``kamailio.cfg`` names. The last modparam of a name counts.

    :param cfg: the file; None if there is none.
    :raises ScriptError: one of the names is a number.
    """
    found: dict[str, HookName] = {}
    for modparam in () if cfg is None else cfg.modparams:
        field = _MODPARAMS.get((modparam.module, modparam.name))
        if field is None:
            continue
        if not isinstance(modparam.value, str):
            raise modparam.position.error(f"{modparam.name} is a string in Kamailio", "Write it in quotes")
        found[field] = HookName(modparam.value, f"{modparam.name} ({modparam.position})" if modparam.value else "")
    return HookNames(**found)
