"""natsroute.jetstream.management.consumers"""

from __future__ import annotations

from natsroute.errors import SubjectError
from natsroute.jetstream.errors import (
    ConsumerExistsError,
    ConsumerNotFoundError,
    InvalidApiAnswerError,
    JetStreamLimitError,
)
from natsroute.jetstream.management.configs import ConsumerConfig
from natsroute.jetstream.management.consumers import (
    consumer_info,
    consumer_names,
    create_consumer,
    delete_consumer,
)
from tests.support.memory_api import CONSUMER, ApiTestCase, refusal


class ConsumerTests(ApiTestCase):
    """Requests about consumers, and their answers."""

    def test_info(self) -> None:
        info = self.answered(consumer_info(self.api, "calls", "billing"), CONSUMER)
        self.assertEqual((info.stream, info.name, info.config.ack_wait), ("calls", "billing", 30.0))
        self.assertEqual((info.num_pending, info.num_ack_pending, info.num_redelivered, info.num_waiting), (3, 2, 1, 0))
        self.assertEqual((info.delivered_sequence, info.delivered_count, info.ack_floor), (5, 7, 1))
        self.assertEqual((info.is_push, info.paused, info.priority_groups), (False, False, ()))

    def test_push_and_pause(self) -> None:
        answer = {**CONSUMER, "paused": True, "config": {"deliver_subject": "here"}}
        info = self.answered(consumer_info(self.api, "calls", "billing"), answer)
        self.assertEqual((info.is_push, info.paused), (True, True))

    def test_create(self) -> None:
        """A single filter is a part of the subject; one with wildcards cannot be, and several are not."""
        for subject, method in (
            ("calls.1", "CONSUMER.CREATE.calls.b.calls.1"),
            ("calls.*", "CONSUMER.CREATE.calls.b"),
        ):
            asking = create_consumer(self.api, "calls", ConsumerConfig(durable_name="b", filter_subjects=(subject,)))
            config = {"durable_name": "b", "name": "b", "filter_subject": subject}
            self.assertEqual(
                self.requested(asking, CONSUMER),
                (method, {"stream_name": "calls", "config": config, "action": "create"}),
            )
        method, request = self.requested(
            create_consumer(
                self.api, "calls", ConsumerConfig(name="b", filter_subjects=("a", "b")), action="create_or_update"
            ),
            CONSUMER,
        )
        self.assertEqual((method, "action" in request), ("CONSUMER.CREATE.calls.b", False))
        self.assertEqual(request["config"], {"name": "b", "filter_subjects": ["a", "b"]})

    def test_made_up_names(self) -> None:
        """No two are the same."""
        made = [self.requested(create_consumer(self.api, "calls", ConsumerConfig()), CONSUMER) for _ in range(3)]
        names = {request["config"]["name"] for _, request in made}
        self.assertEqual({method for method, _ in made}, {f"CONSUMER.CREATE.calls.{name}" for name in names})
        self.assertEqual(len(names), 3)

    def test_refusals(self) -> None:
        for err_code, expected in (
            (10014, ConsumerNotFoundError),
            (10149, ConsumerNotFoundError),
            (10148, ConsumerExistsError),
            (10013, ConsumerExistsError),
            (10026, JetStreamLimitError),
        ):
            asked = self.ask(create_consumer(self.api, "calls", ConsumerConfig(name="a")))
            self.memory.answer(refusal(err_code))
            self.failureResultOf(asked, expected)

    def test_others(self) -> None:
        asking = delete_consumer(self.api, "calls", "billing")
        self.assertEqual(self.requested(asking, {"success": True}), ("CONSUMER.DELETE.calls.billing", None))
        names = self.answered(consumer_names(self.api, "calls"), {"total": 1, "consumers": ["billing"]})
        self.assertEqual(names, ["billing"])

    def test_names_that_are_none(self) -> None:
        for stream, consumer in (("a.b", "c"), ("a", "b.c"), ("a", "")):
            self.failureResultOf(self.ask(consumer_info(self.api, stream, consumer)), SubjectError)
        self.assertEqual(self.memory.asked, [])

    def test_incomplete_answers(self) -> None:
        for answer in ({}, {**CONSUMER, "delivered": None}, {**CONSUMER, "config": None}):
            asked = self.ask(consumer_info(self.api, "calls", "billing"))
            self.memory.answer(answer)
            self.failureResultOf(asked, InvalidApiAnswerError)
