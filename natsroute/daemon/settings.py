"""
The settings: Kamailio's modparams under their own names, and natsroute's own, as one validated value.

Each setting is written here once. The command line, the environment variables and their help come from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from natsroute.client.options import InboundLimits, Timing
from natsroute.client.server_pool import Backoff
from natsroute.client.servers import Server, parse_url
from natsroute.client.subscription import PENDING_POLICIES, PendingLimits, PendingPolicy
from natsroute.client.transport.tls import Tls
from natsroute.daemon.contexts import with_context
from natsroute.daemon.fields import (
    choice,
    count,
    described,
    file_path,
    flag,
    is_text,
    nats_urls,
    queue_entries,
    route_files,
    seconds,
    subject,
    switch,
    text,
)
from natsroute.daemon.kamailio_settings import with_kamailio_cfg
from natsroute.daemon.queue_entry import QueueEntry
from natsroute.daemon.sources import TLS, Arguments, Environment, Origins, Source, merged
from natsroute.errors import SettingError
from natsroute.kamailio.cfg.document import KamailioCfg
from natsroute.kamailio.evaluation import DEFAULT_PUA_JSON_SUBJECT
from natsroute.publishing.options import PUBLISH_POLICIES, PublishLimits, PublishPolicy
from natsroute.wire.parser import DEFAULT_MAX_INBOUND_PAYLOAD

DEFAULT_URL = "nats://127.0.0.1:4222"
DEFAULT_NAME = "natsroute"


@attrs.frozen(kw_only=True)
class Settings:
    """
    All settings of a natsroute service.

    ``Settings(...)`` takes values from a program and reads nothing else. :meth:`from_environment` and :meth:`load` read
    variables and other sources too, a ``kamailio_cfg``, and the file of a ``nats_context``. Numbers and switches may
    also be text, as they are in a variable.

    :param origins: where each value came from; :meth:`load` gives it.
    :param cfg: the ``kamailio_cfg``, read; None if there is none. :meth:`load` gives it.
    :param warnings: what is wrong with the settings, although it is allowed; :meth:`load` gives them.
    :raises SettingError: a setting cannot work. The error names the setting, the value without credentials, where the
        value came from, and the remedy.

    :ivar servers: the servers of ``nats_url``, or the default one.
    """

    nats_url: tuple[str, ...] = attrs.field(
        default=(),
        converter=nats_urls,
        metadata=described(
            "A NATS server: nats://[user:password@]host[:port]. tls:// requires TLS; ws:// and wss:// use WebSocket. "
            "Several are for failover, not fan-in: each connection uses one at a time, in random order. "
            f"Default: {DEFAULT_URL}.",
            repeatable=True,
        ),
    )
    subject_queue_group: tuple[QueueEntry, ...] = attrs.field(
        default=(),
        converter=queue_entries,
        metadata=described(
            "A subject to consume and its queue group, SUBJECT:GROUP. SUBJECT alone subscribes without a group. Each "
            "has its own connection.",
            repeatable=True,
        ),
    )
    event_routes: tuple[str, ...] = attrs.field(
        default=(),
        converter=route_files,
        metadata=described("A Python file or module with event routes (an EventRoutes).", repeatable=True),
    )
    event_callback: str = text(
        "A function, PACKAGE.MODULE:FUNCTION, called for each event instead of event routes; or one of kemi_script."
    )
    kemi_script: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A KEMI script, in Python (.py) or Lua (.lua), with the function event_callback."),
    )
    kamailio_cfg: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described(
            "A kamailio.cfg, whose event routes run. The modparams of its nats module count where no setting here is "
            "given."
        ),
    )
    nats_context: str = text(
        "A context of the 'nats' tool. Its servers, login and TLS are used where no setting here gives one."
    )
    user: str = text("The user to log in as, for servers whose URL names none.")
    password: str = text("The user's password. Prefer the variable: 'ps' shows the command line.")
    token: str = text("The token to log in with. Prefer the variable, as for the password.")
    nkey_file: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A file with the seed of an nkey to log in with."),
    )
    creds_file: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A credentials file (JWT and seed, as 'nsc' writes it) to log in with."),
    )
    tls: bool = switch("1: refuse servers without TLS. A server that requires TLS gets it in any case.")
    tls_ca_file: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A PEM file with the CAs to trust, instead of the system's."),
    )
    tls_cert_file: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A PEM file with our certificate, for a server that requires one."),
    )
    tls_key_file: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A PEM file with the key of that certificate."),
    )
    tls_expected_hostname: str = text(
        "The name that the server's certificate must have, instead of the host name of its URL."
    )
    tls_first: bool = switch("1: start TLS before the server sends anything (the server's handshake_first).")
    num_publish_workers: int = count("Workers that publish. Each has its own connection.", 2)
    embedded_server: bool = flag(
        "Start a nats-server on this machine, for this service only, and stop it at the end. It listens on 127.0.0.1, "
        "and requires the token of this service: a random one, unless 'token' is set."
    )
    embedded_server_port: int = count("The port of the embedded server. 0: a free one.", 0, minimum=0)
    embedded_server_store_dir: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A folder for the streams of the embedded server, which has JetStream then."),
    )
    pua_json_subject: str = subject(
        "The subject that pua_json_publish sends payloads to. A Kamailio publishes them as presence.",
        DEFAULT_PUA_JSON_SUBJECT,
    )
    client_name: str = text(
        "The name of our connections in the server's monitoring, and of the service. Log lines begin with it if it is "
        "set.",
        DEFAULT_NAME,
    )
    keep_url_order: bool = flag("Try the servers in the order given instead of a random one.")
    ignore_discovered_servers: bool = flag("Use only the servers of nats_url, not those that their cluster announces.")
    max_reconnect_attempts: int = count(
        "Failed attempts after which a server is no longer tried, unless it is the last one. 0: never.", 0, minimum=0
    )
    connect_timeout: float = seconds(
        "Seconds for one attempt to connect, from name resolution to the end of the NATS handshake.", 2.0
    )
    reconnect_wait: float = seconds(
        "Seconds to wait before all servers are tried again. Doubles with each round. The first attempt is immediate.",
        2.0,
    )
    reconnect_max_wait: float = seconds("The longest that reconnect_wait becomes, in seconds.", 10.0)
    reconnect_jitter: float = seconds("Random seconds added to each wait, at most.", 0.1, minimum=0.0)
    reconnect_jitter_tls: float = seconds("The same when TLS is required.", 1.0, minimum=0.0)
    login_wait: float = seconds(
        "Seconds to wait before a server that refused our login is tried again. Doubles with each refusal.", 10.0
    )
    login_max_wait: float = seconds("The longest that login_wait becomes, in seconds.", 300.0)
    write_timeout: float = seconds("Close a connection if the server reads nothing for this many seconds.", 60.0)
    ping_interval: float = seconds("Seconds between our pings.", 120.0)
    max_pings_outstanding: int = count("Unanswered pings after which a connection counts as dead.", 2)
    max_inbound_payload: int = count(
        "Bytes that the payload of a received message may have. A connection that brings more is closed.",
        DEFAULT_MAX_INBOUND_PAYLOAD,
    )
    pending_max_messages: int = count("Messages that may wait for a slow route.", 65_536)
    pending_max_bytes: int = count("Bytes that may wait for a slow route.", 32 * 1024 * 1024)
    pending_policy: PendingPolicy = choice(
        "What to do when more arrive: pause (stop reading until half of them are handled), drop_oldest or drop_newest.",
        PENDING_POLICIES,
    )
    publish_max_messages: int = count("Unconfirmed messages that one publish worker may hold.", 65_536)
    publish_max_bytes: int = count("Unconfirmed bytes that one publish worker may hold.", 8 * 1024 * 1024)
    publish_max_age: float = seconds("Seconds after which an unconfirmed message fails. 0: never.", 3600.0, minimum=0.0)
    publish_policy: PublishPolicy = choice(
        "What happens to a message that cannot be sent: keep (send it after the reconnect), fail (at once without a "
        "connection; never sent twice) or drop (when its worker's buffer is half full).",
        PUBLISH_POLICIES,
    )
    publish_msg_id: bool = flag("Give each message its own Nats-Msg-Id, so that a stream can drop duplicates.")
    publish_resend_window: float = seconds(
        "Seconds. When a connection is lost, messages confirmed within this time are sent again: a server that was "
        "killed may have confirmed messages that it had not passed on.",
        0.25,
        minimum=0.0,
    )
    route_threads: int = count("Threads for event routes with thread=True.", 10)
    route_thread_queue: int = count(
        "Calls that may wait for one of these threads. When more do, subscriptions with such routes wait.", 1000
    )
    drain_timeout: float = seconds(
        "Seconds that a stop waits until received messages are handled. A second signal ends the wait.",
        30.0,
        minimum=0.0,
    )
    hook_timeout: float = seconds(
        "Seconds that the on_stop hooks may take together. A second signal ends them, too.", 10.0, minimum=0.0
    )
    slow_route_warning: float = seconds("Seconds after which a route that is still running is logged.", 30.0)
    blocked_reactor_warning: float = seconds(
        "Seconds after which a route that keeps the reactor from everything else is logged. 0: never.", 1.0, minimum=0.0
    )

    origins: Origins = attrs.field(factory=Origins, eq=False)
    cfg: KamailioCfg | None = attrs.field(default=None, eq=False)
    warnings: tuple[str, ...] = attrs.field(default=(), eq=False)
    servers: tuple[Server, ...] = attrs.field(init=False)

    @servers.default
    def _parse_servers(self) -> tuple[Server, ...]:
        return tuple(parse_url(url) for url in self.nats_url or (DEFAULT_URL,))

    def __attrs_post_init__(self) -> None:
        for name in ("nats_context", "kamailio_cfg"):
            if getattr(self, name) and name not in self.origins:
                raise SettingError(
                    name,
                    getattr(self, name),
                    "Settings(...) reads no files",
                    f"Use Settings.from_environment(os.environ, {name}={getattr(self, name)!r})",
                )
        self._check_login()
        self._check_tls()
        self._check_embedded_server()
        if not self.kemi_script:  # whose callback runs where there is no event route
            self._check_exclusive("event_callback", "event_routes", "it is called instead of event routes")
        if self.kemi_script and not self.event_callback:
            remedy = "Set event_callback to the name of a function in the script"
            raise SettingError("kemi_script", self.kemi_script, "there is no event_callback", remedy)

    def _check_exclusive(self, name: str, other: str, problem: str) -> None:
        if getattr(self, name) and getattr(self, other):
            raise SettingError(
                name, getattr(self, name), f"{problem}, and {other} is set{self._from(other)}", "Leave one of them out"
            )

    def _check_login(self) -> None:
        given = [name for name in ("user", "token", "nkey_file", "creds_file") if getattr(self, name)]
        if len(given) > 1:
            raise SettingError(" and ".join(given), "...", "they are different ways to log in", "Leave all but one out")
        if self.password and not self.user:
            raise SettingError("password", "...", "there is no user", "Set user too, or put both into nats_url")

    def _check_embedded_server(self) -> None:
        self._check_exclusive("embedded_server", "nats_url", "the embedded server has its own URL")
        for name in ("user", "nkey_file", "creds_file"):
            self._check_exclusive("embedded_server", name, "the embedded server takes nothing but a token")
        for name in ("embedded_server_port", "embedded_server_store_dir"):
            value = getattr(self, name)
            if value and not self.embedded_server:
                raise SettingError(name, value, "there is no embedded server", "Set embedded_server too")
        if self.embedded_server_port > 65_535:
            raise SettingError(
                "embedded_server_port", self.embedded_server_port, "it is no port", "A port is a number up to 65535"
            )

    def _check_tls(self) -> None:
        for name in TLS[1:]:
            value = getattr(self, name)
            if value and not self.require_tls:
                raise SettingError(name, value, f"tls is 0{self._from('tls')}", "Set tls=1 too, or leave it out")
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            name, other = ("tls_cert_file", "tls_key_file") if self.tls_cert_file else ("tls_key_file", "tls_cert_file")
            raise SettingError(name, getattr(self, name), f"there is no {other}", f"Set {other} too, or leave both out")
        plain = [str(server) for server in self.servers if server.scheme == "ws"]
        if self.require_tls and plain:
            raise SettingError(
                "nats_url", plain[0], f"it has no TLS, and TLS is required{self._from('tls')}", "Write wss://HOST:PORT"
            )
        if self.require_tls and self.embedded_server:
            raise SettingError("tls", 1, "the embedded server has no TLS", "Leave one of them out")

    def _from(self, setting: str) -> str:
        return f" (from {self.origins[setting]})" if self.origins[setting] else ""

    def __repr__(self) -> str:
        entries = ", ".join(map(str, self.subject_queue_group))
        return f"<Settings for {', '.join(map(str, self.servers))}; {entries or 'no subject_queue_group'}>"

    @classmethod
    def load(cls, sources: Iterable[Source], environment: Mapping[str, str]) -> Settings:
        """
        Settings from several sources. Where two have the same setting, the first source wins. Below them is the
        ``kamailio_cfg``, if it is set, below that the context of the ``nats`` tool that ``nats_context`` names, and
        below that are the defaults.

        :param environment: variables that tell where the files of contexts are, and that a ``kamailio_cfg`` may use.
        :raises SettingError: as the class does, and if a source cannot be read.
        :raises ScriptError: the ``kamailio_cfg`` cannot be read or is malformed.
        """
        given = merged(sources)
        with Origins.of(given).in_errors():
            from_cfg = with_kamailio_cfg(given, environment, SETTING_FIELDS)
        given = from_cfg.given
        with Origins.of(given).in_errors():
            given = with_context(given, environment)
        values: dict[str, Any] = {name: one.value for name, one in given.items()}
        origins = Origins.of(given)
        with origins.in_errors():
            return cls(**values, origins=origins, cfg=from_cfg.cfg, warnings=from_cfg.warnings)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **settings: Any) -> Settings:
        """
        Settings from variables named ``NATSROUTE_`` and the setting in capitals. Commas separate the values of a
        repeatable setting. An empty variable counts as absent.

        :param settings: settings that win over the variables.
        :raises SettingError: as the class does; also for a variable with that prefix that is not a setting.
        """
        return cls.load([Arguments(settings), Environment(environment, SETTING_FIELDS)], environment)

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
        """Whether servers without TLS are refused. One URL that requires TLS is enough, for all servers."""
        return self.tls or any(server.secure for server in self.servers)

    @property
    def client_tls(self) -> Tls:
        """The files and names for TLS."""
        return Tls(
            self.tls_ca_file,
            self.tls_cert_file,
            self.tls_key_file,
            self.tls_expected_hostname,
            first=self.tls_first,
            in_errors=self.origins.in_errors,
        )

    @property
    def timing(self) -> Timing:
        """The timeouts of a connection."""
        return Timing(self.connect_timeout, self.ping_interval, self.max_pings_outstanding, self.write_timeout)

    @property
    def inbound_limits(self) -> InboundLimits:
        """How much a server may send at once."""
        return InboundLimits(payload=self.max_inbound_payload)

    @property
    def pending_limits(self) -> PendingLimits:
        """How much may wait for a slow route."""
        return PendingLimits(self.pending_max_messages, self.pending_max_bytes, self.pending_policy)

    @property
    def publish_limits(self) -> PublishLimits:
        """How much a publish worker may hold."""
        return PublishLimits(
            self.publish_max_messages,
            self.publish_max_bytes,
            self.publish_max_age,
            self.publish_policy,
            self.publish_resend_window,
        )


#: The fields of the settings by name, each with ``help``, ``repeatable`` and ``flag`` in its metadata.
SETTING_FIELDS = {field.name: field for field in attrs.fields(Settings) if "help" in field.metadata}
