"""The settings of the event routes: what is consumed, what runs for it, and how much may wait on the way in and out."""

from __future__ import annotations

import attrs

from natsroute.client.subscription import PENDING_POLICIES, PendingLimits, PendingPolicy
from natsroute.daemon.settings.fields import (
    choice,
    count,
    described,
    file_path,
    flag,
    is_text,
    queue_entries,
    route_files,
    seconds,
    subject,
    text,
)
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.daemon.settings.setting_group import SettingGroup
from natsroute.errors import SettingError
from natsroute.kamailio.evaluation import DEFAULT_PUA_JSON_SUBJECT, DEFAULT_SCRIPT_TIMEOUT
from natsroute.publishing.options import PUBLISH_POLICIES, PublishLimits, PublishPolicy


@attrs.frozen(kw_only=True, slots=False)
class RoutingSettings(SettingGroup):
    """What a service consumes, runs and publishes."""

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
    pua_json_subject: str = subject(
        "The subject that pua_json_publish sends payloads to. A Kamailio publishes them as presence.",
        DEFAULT_PUA_JSON_SUBJECT,
    )
    num_publish_workers: int = count("Workers that publish. Each has its own connection.", 2)
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
    reload_timeout: float = seconds(
        "Seconds that each step of a reload may take: a trial of the new code in another process, loading KEMI "
        "scripts, and the on_start hooks. Also those of the trial of --check.",
        10.0,
    )
    reload_on_change: bool = flag("Reload when a file of the code changes, for development. It needs watchfiles.")
    slow_route_warning: float = seconds("Seconds after which a route that is still running is logged.", 30.0)
    blocked_reactor_warning: float = seconds(
        "Seconds after which a route that keeps the reactor from everything else is logged. 0: never.", 1.0, minimum=0.0
    )
    script_timeout: float = seconds(
        "Seconds that an event route of the kamailio_cfg may keep the reactor from everything else. Then it fails. 0: "
        "any time.",
        DEFAULT_SCRIPT_TIMEOUT,
        minimum=0.0,
    )

    def check(self) -> None:
        """Check these settings together."""
        super().check()
        if not self.kemi_script:  # whose callback runs where there is no event route
            self._check_exclusive("event_callback", "event_routes", "it is called instead of event routes")
        if self.kemi_script and not self.event_callback:
            remedy = "Set event_callback to the name of a function in the script"
            raise SettingError("kemi_script", self.kemi_script, "there is no event_callback", remedy)

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
