"""natsroute.kamailio.kemi.ksr.core"""

from __future__ import annotations

from tests.support.kemi_scripts import ScriptCase, new_event
from tests.support.log_recorder import LogRecorder


class LogTests(ScriptCase):
    """Logging without variables."""

    def test_levels(self) -> None:
        """Each has its level in Twisted's log; the text is as it is."""
        log = LogRecorder(self)
        call = self.new_caller(new_event(b"data"))
        for level in ("dbg", "info", "notice", "warn", "err", "crit"):
            self.assertEqual(call(level, b"a $natsData\n"), 0)
        levels = [event["log_level"].name for event in log.events]
        self.assertEqual(levels, ["debug", "info", "info", "warn", "error", "critical"])
        self.assertEqual({event["text"] for event in log.events}, {"a $natsData"})
        self.assertEqual({event["route"] for event in log.events}, {"nats:a"})

    def test_level_by_name(self) -> None:
        """Any other name is an error, as in Kamailio."""
        log = LogRecorder(self)
        call = self.new_caller(new_event())
        for level in (b"WARN", b"no level"):
            call("log", level, b"x")
        self.assertEqual([event["log_level"].name for event in log.events], ["warn", "error"])


class MessageTests(ScriptCase):
    """The SIP message that is always the same."""

    def test_questions(self) -> None:
        self.check_calls(
            new_event(),
            [
                (True, "is_OPTIONS"),
                (False, "is_INVITE"),
                (True, "is_method", b"options"),
                (False, "is_method", b"INVITE"),
                (True, "is_method_in", b"IO"),
                (False, "is_method_in", b"IA"),
                (True, "is_UDP"),
                (False, "is_TCP"),
                (True, "is_proto", b"u"),
                (False, "is_proto", b"T"),
                (False, "is_IPv4"),
                (False, "is_IPv6"),
                (True, "is_src_port", 5060),
                (False, "is_src_port", 5061),
                (False, "is_dst_port", 5060),
                (False, "is_TCPX"),
                (False, "isdsturiset"),
                (0, "set_drop"),
            ],
        )

    def test_headers(self) -> None:
        self.check_calls(
            new_event(),
            [
                (b"1 OPTIONS", "hdr.get", b"cseq"),
                (None, "hdr.get", b"X"),
                (b"", "hdr.gete", b"X"),
                (b"<null>", "hdr.getw", b"X"),
                (b"123", "hdr.get_idx", b"Call-ID", 0),
                (b"123", "hdr.get_idx", b"Call-ID", -1),
                (None, "hdr.get_idx", b"Call-ID", 1),
                (b"", "hdr.gete_idx", b"Call-ID", 1),
                (b"<null>", "hdr.getw_idx", b"Call-ID", 1),
                (1, "hdr.is_present", b"Via"),
                (-1, "hdr.is_present", b"X"),
            ],
        )

    def test_flags(self) -> None:
        """They belong to one event."""
        context = self.new_context()
        from natsroute.kamailio.kemi.ksr import FUNCTIONS

        setflag, isflagset, resetflag = (FUNCTIONS[name].new(context) for name in ("setflag", "isflagset", "resetflag"))
        context.begin(new_event())
        self.assertEqual([setflag(5), setflag(31), setflag(32), setflag(-1)], [True, True, False, False])
        self.assertEqual([isflagset(5), isflagset(6), isflagset(32)], [True, False, False])
        self.assertEqual([resetflag(5), isflagset(5), isflagset(31), resetflag(32)], [True, False, True, False])
        context.begin(new_event())
        self.assertIs(isflagset(31), False)
