"""The settings of the connections: servers, login, TLS and timeouts. The server itself, if it is embedded."""

from __future__ import annotations

import attrs

from natsroute.client.inbox import DEFAULT_INBOX_PREFIX
from natsroute.client.options import InboundLimits, Timing
from natsroute.client.server_pool import Backoff
from natsroute.client.servers import Server, parse_url
from natsroute.client.transport.tls import Tls
from natsroute.daemon.settings.fields import (
    count,
    described,
    file_path,
    flag,
    is_text,
    nats_urls,
    seconds,
    subject,
    switch,
    text,
)
from natsroute.daemon.settings.setting_group import SettingGroup
from natsroute.daemon.settings.sources import TLS
from natsroute.errors import SettingError
from natsroute.wire.parser import DEFAULT_MAX_INBOUND_PAYLOAD

DEFAULT_URL = "nats://127.0.0.1:4222"
DEFAULT_NAME = "natsroute"


@attrs.frozen(kw_only=True, slots=False)
class ConnectionSettings(SettingGroup):
    """
    How all connections of a service reach their servers.

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
    nats_context: str = text(
        "A context of the 'nats' tool. Its servers, login, TLS, inbox prefix and JetStream domain are used where no "
        "setting here gives one."
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
    client_name: str = text(
        "The name of our connections in the server's monitoring, and of the service. Log lines begin with it if it is "
        "set.",
        DEFAULT_NAME,
    )
    inbox_prefix: str = subject(
        "What the reply subjects of our requests begin with. The user must be allowed to subscribe to everything below "
        "it.",
        DEFAULT_INBOX_PREFIX,
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

    servers: tuple[Server, ...] = attrs.field(init=False)

    @servers.default
    def _parse_servers(self) -> tuple[Server, ...]:
        return tuple(parse_url(url) for url in self.nats_url or (DEFAULT_URL,))

    def check(self) -> None:
        """Check these settings together."""
        super().check()
        self._check_login()
        self._check_tls()
        self._check_embedded_server()

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
