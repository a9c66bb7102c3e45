"""natsroute.kamailio.evaluation"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio import evaluation as evaluation_module
from natsroute.kamailio.evaluation import NOT_JSON, ConsumerVariables, EventVariables, ServiceVariables
from natsroute.kamailio.json import documents as json_documents
from tests.support.expressions import make_evaluation


class DocumentTests(SynchronousTestCase):
    """JSON documents of an event."""

    def count_parsing(self) -> list[bytes]:
        """What is parsed from now on."""
        parsed: list[bytes] = []
        parse = json_documents.parse

        def counting(data: bytes) -> object:
            parsed.append(data)
            return parse(data)

        self.patch(evaluation_module.json_documents, "parse", counting)
        return parsed

    def test_strict(self) -> None:
        """What jansson reads is parsed once, too, and kept apart from what json-c reads."""
        parsed: list[bytes] = []
        parse = evaluation_module.jansson_documents.parse

        def counting(data: bytes) -> object:
            parsed.append(data)
            return parse(data)

        self.patch(evaluation_module.jansson_documents, "parse", counting)
        variables = make_evaluation().own
        for _ in range(2):
            self.assertEqual(variables.strict_document(b"[1]"), [1])
            self.assertEqual(variables.document(b"5"), 5)
            self.assertIs(variables.strict_document(b"5"), NOT_JSON)
        self.assertEqual(parsed, [b"[1]", b"5"])

    def test_parsed_once(self) -> None:
        """However often it is asked for; also one that is no JSON."""
        parsed = self.count_parsing()
        variables = make_evaluation().own
        for _ in range(3):
            self.assertEqual(variables.document(b"[1]"), [1])
            self.assertIs(variables.document(b"nope"), NOT_JSON)
        self.assertEqual(parsed, [b"[1]", b"nope"])

    def test_each_event_its_own(self) -> None:
        """Another event parses anew."""
        parsed = self.count_parsing()
        make_evaluation().own.document(b"[1]")
        make_evaluation().own.document(b"[1]")
        self.assertEqual(len(parsed), 2)

    def test_bounded(self) -> None:
        """An expression that makes more and more documents does not keep them all."""
        variables = make_evaluation().own
        for number in range(1000):
            self.assertEqual(variables.document(b"%d" % number), number)
        self.assertLessEqual(len(variables._documents or ()), evaluation_module._MAX_DOCUMENTS)


class LifetimeTests(SynchronousTestCase):
    """What lives as long as an event, a consumer or the service."""

    def test_of_an_event(self) -> None:
        """AVPs, XAVPs and the return code are fresh for each event."""
        consumer = ConsumerVariables()
        first = EventVariables(consumer)
        first.avps[b"a"] = [1]
        first.xavps.add(b"a", 1)
        first.return_code = -1
        second = EventVariables(consumer)
        self.assertEqual((dict(second.avps), len(second.xavps), second.return_code), ({}, 0, 0))
        self.assertIs(first.avps, first.avps)
        self.assertIs(first.xavps, first.xavps)

    def test_of_a_consumer(self) -> None:
        """Events of a consumer are counted, each consumer for itself."""
        service = ServiceVariables()
        one, other = ConsumerVariables(service), ConsumerVariables(service)
        numbers = [EventVariables(consumer).number for consumer in (one, one, other)]
        self.assertEqual(numbers, [1, 2, 1])

    def test_moment(self) -> None:
        """The time of an event is that of the first question for it."""
        clock = Clock()
        variables = make_evaluation(service=ServiceVariables(now=clock.seconds)).own
        clock.advance(5)
        self.assertEqual(variables.moment, 5)
        clock.advance(5)
        self.assertEqual(variables.moment, 5)

    def test_started(self) -> None:
        """The service knows since when it is there."""
        clock = Clock()
        clock.advance(7.5)
        self.assertEqual(ServiceVariables(now=clock.seconds).started, 7)

    def test_random(self) -> None:
        """Numbers of 31 bits, not always the same."""
        numbers = {ServiceVariables().random_number() for _ in range(50)}
        self.assertGreater(len(numbers), 40)
        self.assertTrue(all(0 <= number < 2**31 for number in numbers))
