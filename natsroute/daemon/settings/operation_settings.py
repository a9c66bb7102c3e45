"""The settings of operators: what is shown of a running service, what is logged, and how it is reloaded."""

from __future__ import annotations

import attrs

from natsroute.daemon.settings.fields import (
    OFF,
    check_text,
    choice,
    count,
    described,
    file_path,
    flag,
    fraction,
    is_text,
    log_rules,
    method_names,
    optional_subject,
    socket_path,
    text,
)
from natsroute.daemon.settings.listen_address import ListenAddress
from natsroute.daemon.settings.setting_group import SettingGroup
from natsroute.errors import SettingError
from natsroute.monitoring.log_observer import LOG_FORMATS, LogFormat

#: The admin methods that change something: those that admin_subject_methods may name.
CHANGING_METHODS = ("reload", "log_level", "stop")


@attrs.frozen(kw_only=True, slots=False)
class OperationSettings(SettingGroup):
    """
    What operators see of a service, and what they do with it.

    :ivar http_address: the address of ``http_listen``, or None.
    """

    http_listen: str = text(
        "HOST:PORT to serve health, metrics and a status page at, over HTTP. A port alone is one of 127.0.0.1."
    )
    http_user: str = text("The user that the HTTP paths require, except /livez and /readyz.")
    http_password: str = text("The password of http_user. Prefer the variable: 'ps' shows the command line.")
    http_tls_cert_file: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A PEM file with the certificate of http_listen, which then has TLS."),
    )
    http_tls_key_file: str = attrs.field(
        default="",
        converter=file_path,
        validator=is_text,
        metadata=described("A PEM file with the key of that certificate."),
    )

    admin_socket: str = attrs.field(
        default="",
        converter=socket_path,
        validator=is_text,
        metadata=described(
            "The path of the Unix socket at which the console command natsroute reaches the service; off: none. "
            "Default under twistd natsroute: a socket in the runtime folder of the user."
        ),
    )

    admin_subject: str = optional_subject(
        "A subject at which the methods of the admin socket that change nothing are answered, too, as JSON-RPC in "
        "requests of NATS. Whoever may publish to it sees what they show."
    )
    admin_subject_methods: tuple[str, ...] = attrs.field(
        default=(),
        converter=method_names,
        metadata=described(
            "A method that changes something and is answered at admin_subject nevertheless: reload, log_level or stop.",
            repeatable=True,
        ),
    )

    log_format: LogFormat = choice("How twistd writes its log: text, or json (one object a line).", LOG_FORMATS)
    log_level: tuple[str, ...] = attrs.field(
        default=(),
        converter=log_rules,
        metadata=described(
            "The least level of what twistd logs: LEVEL, or NAMESPACE=LEVEL for a part of it, such as "
            "natsroute.client=debug. Levels are debug, info, warn, error and critical; without this, info.",
            repeatable=True,
        ),
    )

    tracing: bool = flag(
        "Trace messages and publishes with OpenTelemetry, and export the spans as its variables say, such as "
        "OTEL_EXPORTER_OTLP_ENDPOINT."
    )
    tracing_sample_ratio: str = fraction(
        "How many messages are traced, from 0 to 1, of those whose traceparent does not decide it. "
        "Without it, OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG say."
    )
    tracing_max_rate: int = count(
        "Traces that begin here in a second, at most, so that a busy service does not spend its time on them. "
        "0: no limit.",
        50,
        minimum=0,
    )

    http_address: ListenAddress | None = attrs.field(init=False)

    @http_address.default
    def _parse_http_listen(self) -> ListenAddress | None:
        listen = check_text("http_listen", self.http_listen)
        return ListenAddress.parse("http_listen", listen) if listen else None

    def check(self) -> None:
        """Check these settings together."""
        super().check()
        self._check_http()
        if self.admin_subject_methods and not self.admin_subject:
            name, methods = "admin_subject_methods", ", ".join(self.admin_subject_methods)
            raise SettingError(name, methods, "there is no admin_subject", "Set admin_subject too, or leave it out")
        for method in self.admin_subject_methods:
            if method not in CHANGING_METHODS:
                remedy = f"Give some of {', '.join(CHANGING_METHODS)}"
                raise SettingError("admin_subject_methods", method, "it is not a method that changes something", remedy)

    def _check_http(self) -> None:
        for pair in (("http_user", "http_password"), ("http_tls_cert_file", "http_tls_key_file")):
            for name, other in (pair, pair[::-1]):
                if getattr(self, name) and not self.http_listen:
                    raise SettingError(name, "...", "there is no http_listen", "Set http_listen too, or leave it out")
                if getattr(self, name) and not getattr(self, other):
                    raise SettingError(name, "...", f"there is no {other}", f"Set {other} too, or leave both out")
        if ":" in self.http_user:
            raise SettingError("http_user", "...", "it has a colon, which ends a user in HTTP", "Choose another name")

    @property
    def measures_durations(self) -> bool:
        """Whether durations are measured for the metrics: only if the settings ask for a way to have them."""
        return bool(self.http_listen) or self.admin_socket not in ("", OFF)
