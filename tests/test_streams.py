"""natsroute.jetstream.management.streams"""

from __future__ import annotations

from natsroute.errors import SubjectError
from natsroute.jetstream.errors import InvalidApiAnswerError, InvalidConfigError, StreamExistsError, StreamNotFoundError
from natsroute.jetstream.management.configs import StreamConfig
from natsroute.jetstream.management.streams import (
    create_stream,
    delete_stream,
    purge_stream,
    stream_info,
    stream_names,
    stream_subjects,
    update_stream,
)
from tests.support.memory_api import STREAM, ApiTestCase, refusal


class StreamTests(ApiTestCase):
    """Requests about streams, and their answers."""

    def test_info(self) -> None:
        info = self.answered(stream_info(self.api, "calls"), STREAM)
        self.assertEqual((info.messages, info.bytes, info.first_sequence, info.last_sequence), (3, 114, 1, 3))
        self.assertEqual((info.consumers, info.cluster), (2, {}))
        self.assertEqual(info.config, StreamConfig(name="calls", subjects=("calls.>",), num_replicas=1))

    def test_requests(self) -> None:
        config = StreamConfig(name="calls", subjects=("calls.>",))
        wanted = {"name": "calls", "subjects": ["calls.>"]}
        for asking, request in (
            (stream_info(self.api, "calls"), ("STREAM.INFO.calls", None)),
            (create_stream(self.api, config), ("STREAM.CREATE.calls", wanted)),
            (update_stream(self.api, config), ("STREAM.UPDATE.calls", wanted)),
        ):
            self.assertEqual(self.requested(asking, STREAM), request)
        self.assertEqual(
            self.requested(delete_stream(self.api, "calls"), {"success": True}), ("STREAM.DELETE.calls", None)
        )

    def test_refusals(self) -> None:
        for err_code, expected in (
            (10059, StreamNotFoundError),
            (10058, StreamExistsError),
            (10052, InvalidConfigError),
        ):
            asked = self.ask(stream_info(self.api, "calls"))
            self.memory.answer(refusal(err_code))
            self.failureResultOf(asked, expected)

    def test_purge(self) -> None:
        removed = self.answered(purge_stream(self.api, "calls"), {"success": True, "purged": 7})
        self.assertEqual(removed, 7)
        asking = purge_stream(self.api, "calls", subject="calls.1", keep=2)
        self.assertEqual(
            self.requested(asking, {"purged": 0}), ("STREAM.PURGE.calls", {"filter": "calls.1", "keep": 2})
        )

    def test_names(self) -> None:
        self.assertEqual(self.answered(stream_names(self.api), {"total": 1, "streams": ["calls"]}), ["calls"])
        self.assertEqual(
            self.requested(stream_names(self.api, "calls.1"), {"total": 0, "streams": None}),
            ("STREAM.NAMES", {"subject": "calls.1", "offset": 0}),
        )

    def test_subjects(self) -> None:
        """They come in pages."""
        pages = [{"total": 2, "state": {"subjects": {name: 1}}} for name in ("a", "b")]
        self.assertEqual(self.answered(stream_subjects(self.api, "calls"), *pages), {"a": 1, "b": 1})
        self.assertEqual(self.answered(stream_subjects(self.api, "calls", "x"), {"total": 0, "state": {}}), {})

    def test_names_that_are_none(self) -> None:
        """Nothing is asked: the name would change the subject of the request."""
        for name in ("", "a.b", "a b", "*", ">", "a/b", "a\\b", "a\r\nb"):
            self.failureResultOf(self.ask(delete_stream(self.api, name)), SubjectError)
        self.assertEqual(self.memory.asked, [])

    def test_incomplete_answers(self) -> None:
        for answer in ({}, {**STREAM, "state": None}, {**STREAM, "config": {}}, {**STREAM, "state": {"messages": "x"}}):
            asked = self.ask(stream_info(self.api, "calls"))
            self.memory.answer(answer)
            error = self.failureResultOf(asked, InvalidApiAnswerError).value
            self.assertEqual(error.subject, "$JS.API.STREAM.INFO.calls")
