"""
The ``kamailio.cfg`` that Kamailio and natsroute both run, and the same in Lua; and in Python, which natsroute runs.

In the roles ``respond`` and ``pass_on``, it publishes each payload again, and does nothing else. In the other roles, it
counts messages in script variables, and publishes the counts. It publishes them twice, because Kamailio's module
gives published messages to its two workers in turns, and each worker keeps its messages in order. When both have
arrived, the server has everything that Kamailio published before.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.load.job import QUEUE_GROUP, RELAY_SUBJECT, SUBJECT, Job

#: The subject of the counts.
COUNTS = "counts"
#: The subject of replies: an event route of Kamailio does not see the reply subject.
REPLIES = "replies"
#: Where it publishes each payload again, in roles without counts.
TARGETS = {"respond": REPLIES, "pass_on": RELAY_SUBJECT}
#: What it logs when a publish worker has connected.
CONNECTED = "publish worker connected"

_HEAD = """\
#!KAMAILIO
debug=2
log_stderror=yes
disable_core_dump=yes   # 5.6.3 with the nats module ends with a segmentation fault
disable_tcp=yes
pv_buffer_size=131072   # the default is too small to publish 64 KiB
children=1
listen=udp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "nats.so"
modparam("nats", "nats_url", "{url}")
modparam("nats", "subject_queue_group", "{subject}:{group}")
"""

_NATIVE = """\
request_route {{ exit; }}
event_route[nats:connected] {{ xlog("L_NOTICE", "{connected}\\n"); }}
event_route[nats:{subject}] {{
    {body}
}}
"""

_NATIVE_COUNT = """\
    $var(received) = $var(received) + 1;
    $var(size) = $var(size) + $(natsData{{s.len}});
    {relay}
    if ($var(received) mod {first_report} == 0) {{
        nats_publish("{counts}", "$var(received) $var(size)");
        nats_publish("{counts}", "$var(received) $var(size)");
    }}
"""

_USES_LUA = """\
loadmodule "app_lua.so"
modparam("app_lua", "load", "{script}")
modparam("nats", "event_callback", "on_nats")
cfgengine "lua"
"""

_LUA = """\
local received, size = 0, 0

function ksr_request_route()
end

function on_nats(evname)
    if evname == "nats:connected" then
        KSR.notice("{connected}\\n")
        return 1
    end
    if evname ~= "nats:{subject}" then
        return 1
    end
    local data = KSR.pv.get("$natsData")
    {body}
    return 1
end
"""

_LUA_COUNT = """\
    received = received + 1
    size = size + #data
    {relay}
    if received % {first_report} == 0 then
        KSR.nats.publish("{counts}", received .. " " .. size)
        KSR.nats.publish("{counts}", received .. " " .. size)
    end
"""


_USES_PYTHON = """\
loadmodule "app_python3.so"
modparam("app_python3", "load", "{script}")
modparam("nats", "event_callback", "on_nats")
cfgengine "python"
"""

_PYTHON = """\
import KSR as KSR


def mod_init():
    return Routes()


class Routes:
    received = size = 0

    def child_init(self, rank):
        return 0

    def on_nats(self, msg, evname):
        if evname != "nats:{subject}":
            return 1
        data = KSR.pv.get("$natsData")
        {body}
        return 1
"""

_PYTHON_COUNT = """\
self.received += 1
        self.size += len(data)
        {relay}
        if self.received % {first_report} == 0:
            KSR.nats.publish("{counts}", f"{{self.received}} {{self.size}}")
            KSR.nats.publish("{counts}", f"{{self.received}} {{self.size}}")
"""


def write(folder: Path, job: Job, port: int, *, lua: bool, python: bool = False) -> Path:
    """
    Write the configuration for a job; returns its path.

    :param port: the port on which Kamailio listens for SIP.
    :param lua: whether the event is handled in Lua, by a script beside the configuration.
    :param python: whether it is handled in Python. Kamailio 5.6 never calls that.
    """
    path, script = folder / "kamailio.cfg", lua_script(folder)
    head = _HEAD.format(port=port, url=job.url, subject=SUBJECT, group=QUEUE_GROUP)
    if lua:
        script.write_text(_LUA.format(connected=CONNECTED, subject=SUBJECT, body=_lua_body(job)))
        path.write_text(head + _USES_LUA.format(script=script))
    elif python:
        script = script.with_suffix(".py")
        script.write_text(_PYTHON.format(subject=SUBJECT, body=_python_body(job)))
        path.write_text(head + _USES_PYTHON.format(script=script))
    else:
        path.write_text(head + _NATIVE.format(connected=CONNECTED, subject=SUBJECT, body=_native_body(job)))
    return path


def lua_script(folder: Path) -> Path:
    """The path of the Lua script in a folder."""
    return folder / "kamailio.lua"


def _native_body(job: Job) -> str:
    if job.role in TARGETS:
        return f'nats_publish("{TARGETS[job.role]}", "$natsData");'
    relay = f'nats_publish("{RELAY_SUBJECT}", "$natsData");' if job.role == "relay" else ""
    return _NATIVE_COUNT.format(relay=relay, first_report=job.first_report, counts=COUNTS)


def _lua_body(job: Job) -> str:
    if job.role in TARGETS:
        return f'KSR.nats.publish("{TARGETS[job.role]}", data)'
    relay = f'KSR.nats.publish("{RELAY_SUBJECT}", data)' if job.role == "relay" else ""
    return _LUA_COUNT.format(relay=relay, first_report=job.first_report, counts=COUNTS)


def _python_body(job: Job) -> str:
    if job.role in TARGETS:
        return f'KSR.nats.publish("{TARGETS[job.role]}", data)'
    relay = f'KSR.nats.publish("{RELAY_SUBJECT}", data)' if job.role == "relay" else ""
    return _PYTHON_COUNT.format(relay=relay, first_report=job.first_report, counts=COUNTS)
