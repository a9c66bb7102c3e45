"""natsroute.admin.rpc"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin.errors import MethodError, NoAnswerError
from natsroute.admin.rpc import Code, Request, RequestError, error_line, read_answer, read_request, result_line


class RequestTests(SynchronousTestCase):
    """Reading requests."""

    def refused(self, line: bytes) -> tuple[int, str, Any]:
        """The code, the text and the id of the error."""
        refused = self.assertRaises(RequestError, read_request, line)
        return refused.error.code, str(refused.error), refused.id

    def test_round_trip(self) -> None:
        for request in (
            Request("overview", {}, 1),
            Request("log_level", {"level": "debug ü"}, "a"),
            Request("reload", {}, None, wants_answer=False),
        ):
            line = request.line()
            self.assertEqual(line.count(b"\n"), 1)
            self.assertEqual(read_request(line), request)

    def test_params(self) -> None:
        """They may be absent or empty; by position they are refused."""
        for params in ("", ',"params":{}', ',"params":[]'):
            line = f'{{"jsonrpc":"2.0","method":"a","id":1{params}}}'.encode()
            self.assertEqual(read_request(line), Request("a", {}, 1))
        code, text, request_id = self.refused(b'{"jsonrpc":"2.0","method":"a","id":1,"params":[1]}')
        self.assertEqual((code, request_id), (Code.INVALID_PARAMS, 1))
        self.assertIn("by name", text)

    def test_malformed(self) -> None:
        for line, code, words in [
            (b"{", Code.PARSE_ERROR, "not JSON"),
            (b"", Code.PARSE_ERROR, "not JSON"),
            (b'{"a": "\xff"}', Code.PARSE_ERROR, "not UTF-8"),
            (b"[" * 60_000, Code.PARSE_ERROR, ""),
            (b"1", Code.INVALID_REQUEST, "an object"),
            (b'{"method":"a","id":1}', Code.INVALID_REQUEST, "jsonrpc"),
            (b'{"jsonrpc":"2.0","id":1}', Code.INVALID_REQUEST, "method is a string"),
            (b'{"jsonrpc":"2.0","method":[],"id":1}', Code.INVALID_REQUEST, "method is a string"),
            (b'{"jsonrpc":"2.0","method":"a","id":{}}', Code.INVALID_REQUEST, "id is"),
            (b'{"jsonrpc":"2.0","method":"a","id":true}', Code.INVALID_REQUEST, "id is"),
            (b'[{"jsonrpc":"2.0","method":"a","id":1}]', Code.INVALID_REQUEST, "batches are not supported"),
        ]:
            found, text, _ = self.refused(line)
            self.assertEqual(found, code, line)
            self.assertIn(words, text.replace("a JSON object", "an object"))

    def test_id_of_a_malformed_request(self) -> None:
        """It is in the answer, if it can be read."""
        self.assertEqual(self.refused(b'{"id":"x"}')[2], "x")
        self.assertIsNone(self.refused(b'{"id":[]}')[2])


class AnswerTests(SynchronousTestCase):
    """Writing and reading answers."""

    def test_result(self) -> None:
        for result in (None, 1, "ü\u2028\ud800", {"a": [1.5, True]}):
            line = result_line("x", result)
            self.assertTrue(line.isascii())
            self.assertEqual(json.loads(line), {"jsonrpc": "2.0", "id": "x", "result": result})
            self.assertEqual(read_answer(line), result)

    def test_no_json(self) -> None:
        for result in (object(), float("nan"), b""):
            self.assertRaises((TypeError, ValueError), result_line, 1, result)

    def test_error(self) -> None:
        """The text is escaped."""
        error = self.assertRaises(MethodError, read_answer, error_line(1, MethodError(Code.FAILED, "a\x1b[2Jb")))
        self.assertEqual((error.code, str(error)), (Code.FAILED, r"a\x1b[2Jb"))

    def test_malformed(self) -> None:
        for line in (b"", b"{", b"1", b"{}", b'{"error":1}', b'{"error":{"code":"1","message":"a"}}', b"[" * 60_000):
            error = self.assertRaises(NoAnswerError, read_answer, line)
            self.assertLess(len(str(error)), 200)
