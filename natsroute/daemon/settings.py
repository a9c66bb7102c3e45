"""
The settings: the module's modparams under their own names, and what natsroute adds, as one validated value.

Each setting is written here once; the command line, the environment variables and their help come from it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from natsroute.client.options import Timing
from natsroute.client.server_pool import Backoff
from natsroute.client.servers import Server, parse_url
from natsroute.client.subscription import PENDING_POLICIES, PendingLimits, PendingPolicy
from natsroute.client.transport.tls import Tls
from natsroute.daemon.contexts import context_settings
from natsroute.errors import SettingError, SubjectError
from natsroute.publishing.options import PUBLISH_POLICIES, PublishLimits, PublishPolicy
from natsroute.wire.subjects import check_pattern, check_queue_group

DEFAULT_URL = "nats://127.0.0.1:4222"
ENVIRONMENT_PREFIX = "NATSROUTE_"

_LOGIN = ("user", "password", "token", "nkey_file", "creds_file")
_TLS = ("tls", "tls_ca_file", "tls_cert_file", "tls_key_file", "tls_expected_hostname", "tls_first")


@attrs.frozen
class QueueEntry:
    """
    One ``subject_queue_group``: a subscription with a connection of its own.

    :ivar queue_group: who shares the messages; None for a plain subscription, which gets all.
    """

    subject: str
    queue_group: str | None = None

    @classmethod
    def parse(cls, text: str) -> QueueEntry:
        """
        Split ``subject:group`` at the first colon, as the module does; ``subject`` alone has no group.

        :raises SettingError: one of them is empty or cannot be.
        """
        subject, colon, group = text.partition(":")
        try:
            check_pattern(subject)
            if colon:
                check_queue_group(group)
        except SubjectError as error:
            remedy = "Write SUBJECT:GROUP, or SUBJECT alone for a subscription without a queue group"
            raise SettingError("subject_queue_group", text, str(error), remedy) from None
        return cls(subject, group if colon else None)

    def __str__(self) -> str:
        return self.subject if self.queue_group is None else f"{self.subject}:{self.queue_group}"


def _text(value: Any, instance: attrs.AttrsInstance, attribute: Any) -> str:
    if not isinstance(value, (str, Path)):
        problem = f"it is of type {type(value).__name__}, and not text"  # the value itself may hold a secret
        raise SettingError(attribute.name, "...", problem, "Give text, or leave it out")
    return str(value)


_TEXT = attrs.Converter(_text, takes_self=True, takes_field=True)


def _one_or_several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else [value]


def _texts(split: Callable[[str], Iterable[str]]) -> Any:
    """One text or several, each cut by ``split``; a Path is never cut."""

    def convert(value: Any, instance: attrs.AttrsInstance, attribute: Any) -> tuple[str, ...]:
        found: list[str] = []
        for each in _one_or_several(value):
            text = _text(each, instance, attribute)
            found += [text] if isinstance(each, Path) else split(text)
        return tuple(found)

    return attrs.Converter(convert, takes_self=True, takes_field=True)


def _urls(text: str) -> list[str]:
    """As :func:`_split`, but only where the next URL begins: a password may have a comma in it."""
    return [part.strip() for part in re.split(r",\s*(?=\w+://)", text)]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _number(kind: type[int] | type[float], minimum: float) -> Callable[[Any, attrs.AttrsInstance, Any], Any]:
    def convert(value: Any, instance: attrs.AttrsInstance, attribute: Any) -> Any:
        try:
            number = kind(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        rounded = number != value and not isinstance(value, str)
        if number is None or rounded or not minimum <= number < float("inf"):
            what = "a whole number" if kind is int else "a number of seconds"
            raise SettingError(
                attribute.name, value, f"it is not {what} of at least {minimum}", f"Give {minimum} or more"
            )
        return number

    return convert


_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def _flag(value: Any, instance: attrs.AttrsInstance, attribute: Any) -> bool:
    word = str(value).lower()
    if word not in (*_TRUE, *_FALSE):
        raise SettingError(attribute.name, value, "it is neither yes nor no", "Give 1 or 0")
    return word in _TRUE


def _setting(
    help: str, default: Any, converter: Any = _TEXT, *, repeatable: bool = False, flag: bool = False, repr: bool = True
) -> Any:
    return attrs.field(
        default=default,
        converter=converter,
        repr=repr,
        metadata={"help": help, "repeatable": repeatable, "flag": flag},
    )


def _count(help: str, default: int, minimum: int = 1) -> Any:
    return _setting(help, default, attrs.Converter(_number(int, minimum), takes_self=True, takes_field=True))


def _seconds(help: str, default: float, minimum: float = 0.001) -> Any:
    return _setting(help, default, attrs.Converter(_number(float, minimum), takes_self=True, takes_field=True))


def _yes_or_no(help: str) -> Any:
    return _setting(help, False, attrs.Converter(_flag, takes_self=True, takes_field=True), flag=True)


def _switch(help: str) -> Any:
    """As the module's: 0 or 1 is given with it."""
    return _setting(help, False, attrs.Converter(_flag, takes_self=True, takes_field=True))


def _choice(help: str, choices: Sequence[str]) -> Any:
    """One of several words; the first is the default."""

    def convert(value: Any, instance: attrs.AttrsInstance, attribute: Any) -> Any:
        if value not in choices:
            raise SettingError(attribute.name, value, "there is no such choice", f"Give one of {', '.join(choices)}")
        return value

    return _setting(help, choices[0], attrs.Converter(convert, takes_self=True, takes_field=True))


def _secret(help: str) -> Any:
    return _setting(help, "", repr=False)


def _entries(value: Any, instance: attrs.AttrsInstance, attribute: Any) -> tuple[QueueEntry, ...]:
    items = _split(value) if isinstance(value, str) else _one_or_several(value)
    return tuple(
        item if isinstance(item, QueueEntry) else QueueEntry.parse(_text(item, instance, attribute)) for item in items
    )


@attrs.frozen(kw_only=True)
class Settings:
    """
    All settings of a natsroute service.

    :raises SettingError: one of them cannot be; the error names the setting, the value and the remedy.
    """

    nats_url: tuple[str, ...] = _setting(
        f"A NATS server, nats://[user:password@]host[:port]; tls:// for one that must be spoken to in TLS, ws:// or "
        f"wss:// for WebSocket. Several are failover, not fan-in: one is used at a time, in random order. "
        f"Default: {DEFAULT_URL}.",
        (),
        _texts(_urls),
        repeatable=True,
    )
    subject_queue_group: tuple[QueueEntry, ...] = _setting(
        "A subject to consume and its queue group, SUBJECT:GROUP; SUBJECT alone subscribes without a group. Each has "
        "a connection of its own.",
        (),
        attrs.Converter(_entries, takes_self=True, takes_field=True),
        repeatable=True,
    )
    event_routes: tuple[str, ...] = _setting(
        "A Python file, or a module, that holds the event routes (an EventRoutes).", (), _texts(_split), repeatable=True
    )
    event_callback: str = _setting(
        "A function, PACKAGE.MODULE:FUNCTION, that is called with each event instead of the event routes.", ""
    )
    nats_context: str = _setting(
        "A context of the 'nats' tool, whose server, login and TLS are used where no setting here says otherwise.",
        "",
    )
    user: str = _setting("The user to log in as, for servers whose URL names none.", "")
    password: str = _secret("The user's password. Better as a variable than on the command line, where 'ps' shows it.")
    token: str = _secret("The token to log in with, likewise.")
    nkey_file: str = _setting("A file with the seed of an nkey to log in with.", "")
    creds_file: str = _setting("A credentials file (JWT and seed, as 'nsc' writes it) to log in with.", "")
    tls: bool = _switch("1: refuse servers without TLS. A server that requires TLS gets it in any case.")
    tls_ca_file: str = _setting("PEM file of the CAs to trust, instead of the system's.", "")
    tls_cert_file: str = _setting("PEM file of our certificate, for a server that wants one.", "")
    tls_key_file: str = _setting("PEM file of that certificate's key.", "")
    tls_expected_hostname: str = _setting(
        "The name that the server's certificate must have, instead of the one it is reached by.", ""
    )
    tls_first: bool = _switch("1: begin with TLS before the server says a word (its handshake_first).")
    num_publish_workers: int = _count("Workers that publish, each with a connection of its own.", 2)
    embedded_server: bool = _yes_or_no("Start a nats-server on a free port of this machine, and stop it at the end.")
    client_name: str = _setting("The name that the server's monitoring shows for our connections.", "natsroute")
    keep_url_order: bool = _yes_or_no("Try the servers in the order given instead of a random one.")
    ignore_discovered_servers: bool = _yes_or_no("Use the servers of nats_url only, and not those that they tell of.")
    max_reconnect_attempts: int = _count(
        "Attempts in vain after which a server is left for good, unless it is the last; 0: never.", 0, minimum=0
    )
    connect_timeout: float = _seconds("Seconds to wait for TCP, and again for the NATS handshake.", 2.0)
    reconnect_wait: float = _seconds(
        "Seconds to wait before the servers are tried again; doubles at each round. The first try is at once.", 2.0
    )
    reconnect_max_wait: float = _seconds("Seconds that this wait may grow to.", 10.0)
    reconnect_jitter: float = _seconds("Up to so many seconds more, by chance.", 0.1, minimum=0.0)
    reconnect_jitter_tls: float = _seconds("The same where TLS is asked for.", 1.0, minimum=0.0)
    login_wait: float = _seconds(
        "Seconds before a server that refused our login is asked again; doubles at each refusal.", 10.0
    )
    login_max_wait: float = _seconds("Seconds that this wait may grow to.", 300.0)
    write_timeout: float = _seconds("Seconds in which what was written must have gone out.", 60.0)
    ping_interval: float = _seconds("Seconds between our pings.", 120.0)
    max_pings_outstanding: int = _count("Unanswered pings after which a connection is dead.", 2)
    pending_max_messages: int = _count("Messages that may wait for a slow route.", 65_536)
    pending_max_bytes: int = _count("Bytes that may wait for a slow route.", 32 * 1024 * 1024)
    pending_policy: PendingPolicy = _choice(
        "What to do with more: pause (read no more until half is handled), drop_oldest or drop_newest.",
        PENDING_POLICIES,
    )
    publish_max_messages: int = _count("Unconfirmed messages that one publish worker may hold.", 65_536)
    publish_max_bytes: int = _count("Unconfirmed bytes that one publish worker may hold.", 8 * 1024 * 1024)
    publish_max_age: float = _seconds(
        "Seconds after which a message that is not confirmed fails; 0: never.", 3600.0, minimum=0.0
    )
    publish_policy: PublishPolicy = _choice(
        "What becomes of a message that cannot go out: keep (sent when there is a connection again), fail (at once "
        "without a connection, and never sent twice) or drop (gives way when its worker is half full).",
        PUBLISH_POLICIES,
    )
    publish_msg_id: bool = _yes_or_no(
        "Give each message a Nats-Msg-Id of its own, so that a stream can drop what is sent again."
    )
    publish_resend_window: float = _seconds(
        "Seconds: what was confirmed no longer ago when a connection is lost is sent again, for a killed server may "
        "have confirmed what it had not yet passed on.",
        0.25,
        minimum=0.0,
    )
    route_threads: int = _count("Threads for event routes with thread=True.", 10)
    drain_timeout: float = _seconds(
        "Seconds that the end waits for what was received to be handled; a second signal ends it at once.",
        30.0,
        minimum=0.0,
    )
    slow_route_warning: float = _seconds("Seconds after which a route that has not ended is logged.", 30.0)

    servers: tuple[Server, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.nats_context:
            self._take_context(context_settings(self.nats_context, os.environ))
        object.__setattr__(self, "servers", tuple(parse_url(url) for url in self.nats_url or (DEFAULT_URL,)))
        self._check_login()
        self._check_tls()
        if self.embedded_server and self.nats_url:
            raise SettingError(
                "embedded_server",
                1,
                "there is a nats_url too",
                "Leave one of them out: the embedded server has its own",
            )
        if self.event_callback and self.event_routes:
            raise SettingError(
                "event_callback", self.event_callback, "it runs instead of event_routes", "Leave one of them out"
            )

    def _take_context(self, found: Mapping[str, Any]) -> None:
        found = dict(found)
        text = found.pop("nats_url", "")
        urls = tuple(_urls(text)) if text else ()
        own_login, own_urls = any(getattr(self, name) for name in _LOGIN), bool(self.nats_url)
        if own_login and any(parse_url(url).credentials for url in urls) and not own_urls:
            problem = "its url has a login, and there is one in the settings too"
            raise SettingError("nats_context", self.nats_context, problem, "Leave one of them out")
        if any(parse_url(url).secure for url in urls):
            found["tls"] = 1  # also for servers of nats_url: the login that goes there was meant for TLS
        found["nats_url"] = urls
        # A login or TLS that is given here is not mixed with the context's.
        for names in (("nats_url",), _LOGIN, _TLS):
            if not any(getattr(self, name) for name in names):
                for name in found.keys() & set(names):
                    object.__setattr__(self, name, found[name])

    def _check_login(self) -> None:
        given = [name for name in ("user", "token", "nkey_file", "creds_file") if getattr(self, name)]
        if len(given) > 1:
            raise SettingError(" and ".join(given), "...", "they are different ways to log in", "Leave all but one out")
        if self.password and not self.user:
            raise SettingError("password", "...", "there is no user", "Set user too, or put both into nats_url")

    def _check_tls(self) -> None:
        for name in _TLS[1:]:
            value = getattr(self, name)
            if value and not self.require_tls:
                raise SettingError(name, value, "tls is 0", "Set tls=1 too, or leave it out")
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            name, other = ("tls_cert_file", "tls_key_file") if self.tls_cert_file else ("tls_key_file", "tls_cert_file")
            raise SettingError(name, getattr(self, name), f"there is no {other}", f"Set {other} too, or leave both out")
        plain = [str(server) for server in self.servers if server.scheme == "ws"]
        if self.require_tls and plain:
            raise SettingError("nats_url", plain[0], "it has no TLS, and TLS is asked for", "Write wss://HOST:PORT")
        if self.require_tls and self.embedded_server:
            raise SettingError("tls", 1, "the embedded server has no TLS", "Leave one of them out")

    def __repr__(self) -> str:
        entries = ", ".join(map(str, self.subject_queue_group))
        return f"<Settings for {', '.join(map(str, self.servers))}; {entries or 'no subject_queue_group'}>"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **settings: Any) -> Settings:
        """
        Settings from variables named ``NATSROUTE_`` and the setting in capitals; repeatable ones are separated by
        commas. An empty variable counts as none.

        :param settings: settings that go before the variables.
        :raises SettingError: as the class does, and for a variable of that prefix that is no setting.
        """
        known = {ENVIRONMENT_PREFIX + name.upper(): name for name in SETTING_FIELDS}
        for variable in environment:
            if variable.startswith(ENVIRONMENT_PREFIX) and variable not in known:
                raise SettingError(variable, "...", "there is no such setting", f"One of {', '.join(sorted(known))}")
        found: dict[str, Any] = {known[name]: text for name, text in environment.items() if name in known and text}
        return cls(**{**found, **settings})

    @property
    def backoff(self) -> Backoff:
        """The waits between attempts to connect."""
        return Backoff(
            self.reconnect_wait,
            max(self.reconnect_wait, self.reconnect_max_wait),
            self.reconnect_jitter_tls if self.require_tls else self.reconnect_jitter,
            self.login_wait,
            max(self.login_wait, self.login_max_wait),
        )

    @property
    def require_tls(self) -> bool:
        """Whether servers without TLS are refused: one URL that asks for TLS is enough, for all of them."""
        return self.tls or any(server.secure for server in self.servers)

    @property
    def client_tls(self) -> Tls:
        """How TLS is done."""
        return Tls(
            self.tls_ca_file, self.tls_cert_file, self.tls_key_file, self.tls_expected_hostname, first=self.tls_first
        )

    @property
    def timing(self) -> Timing:
        """How patient a connection is."""
        return Timing(self.connect_timeout, self.ping_interval, self.max_pings_outstanding, self.write_timeout)

    @property
    def pending_limits(self) -> PendingLimits:
        """What may wait for a slow route."""
        return PendingLimits(self.pending_max_messages, self.pending_max_bytes, self.pending_policy)

    @property
    def publish_limits(self) -> PublishLimits:
        """What a publish worker may hold."""
        return PublishLimits(
            self.publish_max_messages,
            self.publish_max_bytes,
            self.publish_max_age,
            self.publish_policy,
            self.publish_resend_window,
        )


#: The settings by name, with ``help``, ``repeatable`` and ``flag`` in their metadata.
SETTING_FIELDS = {field.name: field for field in attrs.fields(Settings) if field.init}
