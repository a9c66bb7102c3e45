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
