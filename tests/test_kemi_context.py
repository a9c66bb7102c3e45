"""natsroute.kamailio.kemi.context"""

from __future__ import annotations

from tests.support.kemi_scripts import ScriptCase, new_event


class ContextTests(ScriptCase):
    """What an instance works on."""

    def test_events(self) -> None:
        """What belongs to the consumer stays, what belongs to an event does not. Before the first there is no event."""
        context = self.new_context()
        self.assertEqual(context.evaluation.event.subject, "")
        context.evaluation.consumer.var[b"x"] = 1
        context.begin(new_event(b"1"))
        context.evaluation.own.avps[b"x"] = [1]
        context.flags = 3
        context.begin(new_event(b"2"))
        self.assertEqual(context.evaluation.event.data, b"2")
        self.assertEqual(
            (context.evaluation.own.avps, context.flags, context.evaluation.consumer.var), ({}, 0, {b"x": 1})
        )
        self.assertEqual(context.evaluation.own.number, 3)

    def test_locks(self) -> None:
        """What an event has locked is released when its call has ended."""
        context = self.new_context()
        context.begin(new_event())
        self.service.locks.acquire("a", context.evaluation.own)
        context.release_locks()
        self.assertTrue(self.service.locks.is_held("a"))  # nothing has said that it is locked
        context.has_locked = True
        context.release_locks()
        self.assertEqual((len(self.service.locks), context.has_locked), (0, False))

    def test_failures_of_functions(self) -> None:
        """With the position in the script, if that is known."""
        context = self.new_context()
        context.failed("pv.get", "it is wrong")
        context.where = lambda: "a.py:3:1"
        context.failed("pv.get", "it is wrong")
        expected = [("KSR.pv.get()", "it is wrong"), ("a.py:3:1", "KSR.pv.get(): it is wrong")]
        self.assertEqual(self.failures, expected)
