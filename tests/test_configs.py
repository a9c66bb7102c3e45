"""natsroute.jetstream.management.configs"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig


class JsonTests(SynchronousTestCase):
    """What the server reads and writes."""

    def test_only_what_is_given(self) -> None:
        """The server chooses the rest."""
        self.assertEqual(StreamConfig(name="calls").to_json(), {"name": "calls"})
        self.assertEqual(ConsumerConfig().to_json(), {})

    def test_durations(self) -> None:
        config = StreamConfig(name="calls", max_age=1.5, duplicate_window=0.0)
        self.assertEqual(config.to_json(), {"name": "calls", "max_age": 1_500_000_000, "duplicate_window": 0})
        consumer = ConsumerConfig(ack_wait=0.5, backoff=(1.0, 2.5))
        self.assertEqual(consumer.to_json(), {"ack_wait": 500_000_000, "backoff": [1_000_000_000, 2_500_000_000]})
        self.assertEqual(StreamConfig.from_json(config.to_json()), config)
        self.assertEqual(ConsumerConfig.from_json(consumer.to_json()), consumer)

    def test_unknown(self) -> None:
        """What natsroute does not know is kept, so that an update does not lose it."""
        found = {"name": "calls", "subjects": ["a", "b"], "republish": {"src": "a", "dest": "b"}, "new": 7}
        config = StreamConfig.from_json(found)
        self.assertEqual(config.subjects, ("a", "b"))
        self.assertEqual(config.more, {"republish": {"src": "a", "dest": "b"}, "new": 7})
        self.assertEqual(config.to_json(), found)

    def test_metadata(self) -> None:
        """The server adds its own, which nobody has set."""
        found = {"name": "calls", "metadata": {"_nats.ver": "2.15.1", "owner": "billing"}}
        self.assertEqual(StreamConfig.from_json(found).metadata, {"owner": "billing"})
        self.assertEqual(StreamConfig.from_json({"name": "a", "metadata": {"_nats.ver": "1"}}).metadata, None)

    def test_filters(self) -> None:
        """One has a name of its own in JSON."""
        for json, filters in (
            ({"filter_subject": "a"}, ("a",)),
            ({"filter_subjects": ["a", "b"]}, ("a", "b")),
            ({}, None),
        ):
            config = ConsumerConfig.from_json(json)
            self.assertEqual((config.filter_subjects, config.to_json()), (filters, json))
        self.assertEqual(ConsumerConfig(filter_subjects=()).to_json(), {})
        self.assertEqual(ConsumerConfig.from_json({"filter_subject": ""}).filter_subjects, None)


class DifferenceTests(SynchronousTestCase):
    """What the server has otherwise."""

    def differences(self, ours: StreamConfig, theirs: StreamConfig) -> list[str]:
        """What differs, as texts."""
        return [str(one) for one in ours.differences(theirs)]

    def test_named(self) -> None:
        """Each has a name, ours and theirs."""
        ours = StreamConfig(name="calls", max_age=3600.0, storage="file", subjects=("b", "a"))
        theirs = StreamConfig(name="calls", max_age=60.0, storage="memory", subjects=("a",))
        self.assertEqual(
            self.differences(ours, theirs),
            [
                "subjects is a at the server, and b,a in the settings",
                "storage is memory at the server, and file in the settings",
                "max_age is 60 at the server, and 3600 in the settings",
            ],
        )
        (first, *_) = ours.differences(theirs)
        self.assertEqual((first.name, first.ours, first.theirs), ("subjects", ("b", "a"), ("a",)))

    def test_not_given(self) -> None:
        """What was not given does not differ."""
        theirs = StreamConfig(name="calls", max_age=60.0, subjects=("a",), more={"x": 1})
        self.assertEqual(self.differences(StreamConfig(name="calls"), theirs), [])

    def test_same(self) -> None:
        """The order of subjects means nothing, and what is zero, false or empty may be absent."""
        ours = StreamConfig(name="calls", subjects=("a", "b"), max_age=0.0, allow_direct=False)
        self.assertEqual(self.differences(ours, StreamConfig(name="calls", subjects=("b", "a"))), [])

    def test_order_of_waits(self) -> None:
        """That of a backoff means something."""
        difference = ConsumerConfig(backoff=(1.0, 5.0)).differences(ConsumerConfig(backoff=(5.0, 1.0)))
        self.assertEqual([*map(str, difference)], ["backoff is 5,1 at the server, and 1,5 in the settings"])

    def test_absent(self) -> None:
        (difference,) = ConsumerConfig(max_batch=7).differences(ConsumerConfig())
        self.assertEqual(str(difference), "max_batch is not set at the server, and 7 in the settings")

    def test_unknown(self) -> None:
        ours = StreamConfig(name="calls", more={"republish": {"src": "a"}})
        (difference,) = ours.differences(StreamConfig(name="calls", more={"other": 1}))
        self.assertEqual((difference.name, difference.theirs), ("republish", None))

    def test_over(self) -> None:
        """An update changes what is given, and keeps the rest."""
        theirs = StreamConfig(name="calls", max_age=60.0, max_msgs=7, allow_direct=True, more={"x": 1, "y": 1})
        ours = StreamConfig(name="calls", max_age=0.0, allow_direct=False, more={"y": 2})
        self.assertEqual(
            ours.over(theirs),
            StreamConfig(name="calls", max_age=0.0, max_msgs=7, allow_direct=False, more={"x": 1, "y": 2}),
        )
