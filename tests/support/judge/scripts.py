"""
Scripts for Kamailio and natsroute, and the ``kamailio.cfg`` that has them.

In a script, ``@`` stands for its number: it calls ``route(@NAME)``, and publishes and logs texts that begin with ``@``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

#: Variables that are reset before each script, since they keep their values.
NAMES = "abcdefghijxyz"


@attrs.frozen
class Script:
    """
    A script, and the routes that it calls.

    :ivar body: statements.
    :ivar routes: bodies by name.
    :ivar payload: what ``$var(data)`` is.
    """

    body: str
    routes: Mapping[str, str] = attrs.field(factory=dict)
    payload: str = ""

    def blocks(self, number: int) -> str:
        """The script and its routes as blocks of a ``kamailio.cfg``."""
        found = [f"route[S{number}] {{\n{self.body}\n;}}"]
        found += [f"route[@{name}] {{\n{body}\n;}}" for name, body in self.routes.items()]
        return "\n".join(found).replace("@", f"S{number}_")


def published(text: str) -> str:
    """A statement that publishes a text, in which variables are expanded."""
    return f'nats_publish("answer", "@|{text}");'


def shown(expression: str) -> str:
    """
    Statements that publish the value of an expression, and whether it is an integer: then adding a string to it gives
    a sum.
    """
    return f'$vn(y) = {expression}; $vn(z) = $vn(y) + "1"; ' + published("$vn(y) $vn(z)")


CONFIGURATION = """\
#!KAMAILIO
debug=2
log_stderror=yes
disable_core_dump=yes
disable_tcp=yes
children=1
pv_cache_limit=1000000
listen=udp:127.0.0.1:{port}

loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "json.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "cfgutils.so"
loadmodule "htable.so"
loadmodule "nats.so"

modparam("htable", "htable", "t=>size=4;")
modparam("nats", "nats_url", "{url}")
modparam("nats", "num_publish_workers", 1)
modparam("nats", "subject_queue_group", "call:kamailio")

request_route {{ exit; }}

event_route[nats:call] {{
    if ($natsData == "probe" || $natsData == "last") {{ nats_publish("answer", "$natsData"); exit; }}
    {reset}
    $var(name) = "S" + $(natsData{{s.select,0,;}});
    $var(data) = $(natsData{{s.select,1,;}});
    route($var(name));
    {end}
}}

{blocks}
"""


def configuration(scripts: Sequence[Script], url: str = "nats://127.0.0.1:4222", port: int = 5060) -> str:
    """The ``kamailio.cfg`` with these scripts."""
    reset = "".join(f"$var({name}) = 0; $vn({name}) = $null; $(avp({name})[*]) = $null; " for name in NAMES)
    end = 'nats_publish("answer", "S$(natsData{s.select,0,;})_|end $rc");'
    blocks = "\n".join(script.blocks(number) for number, script in enumerate(scripts))
    return CONFIGURATION.format(url=url, port=port, reset=reset, end=end, blocks=blocks)
