"""natsroute.admin.methods"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin.errors import MethodError
from natsroute.admin.methods import Methods, ParameterError
from natsroute.admin.rpc import Code
from natsroute.errors import NatsrouteError


class MethodsTests(SynchronousTestCase):
    """Calls of methods, and their errors."""

    def setUp(self) -> None:
        self.methods = Methods()
        self.methods.add("echo", dict, required={"text": str}, optional={"times": int, "flag": bool})

    def failed(self, name: str, **params: Any) -> tuple[int, str]:
        """The code and the text of the error."""
        error = self.failureResultOf(self.methods.call(name, params), MethodError).value
        return error.code, str(error)

    def test_result(self) -> None:
        """A value, the value of a Deferred, or that of a coroutine."""
        later: Deferred[int] = Deferred()

        async def coroutine(params: object) -> int:
            return 1 + await later

        self.methods.add("later", lambda params: later)
        self.methods.add("coroutine", coroutine)
        self.assertEqual(self.successResultOf(self.methods.call("echo", {"text": "a"})), {"text": "a"})
        waiting = self.methods.call("coroutine", {})
        self.assertNoResult(waiting)
        later.callback(1)
        self.assertEqual(self.successResultOf(waiting), 2)

    def test_unknown_method(self) -> None:
        """The nearest one is named, or all are."""
        self.methods.add("reload", dict)
        self.assertEqual(
            self.failed("relaod"), (Code.UNKNOWN_METHOD, "there is no method 'relaod'. Did you mean reload?")
        )
        self.assertIn("There are echo, reload", self.failed("x")[1])
        self.assertLess(len(self.failed("\x1b" * 10_000)[1]), 500)
        self.assertNotIn("\x1b", self.failed("\x1b")[1])

    def test_parameters(self) -> None:
        for params, text in [
            ({}, "echo needs the parameter 'text'"),
            ({"text": 1}, "the parameter 'text' of echo is a string"),
            ({"text": "a", "times": "b"}, "the parameter 'times' of echo is a number"),
            ({"text": "a", "times": True}, "the parameter 'times' of echo is a number"),
            ({"text": "a", "flag": 1}, "the parameter 'flag' of echo is true or false"),
            ({"text": "a", "timse": 1}, "echo has no parameter 'timse'. Did you mean times?"),
            ({"text": "a", "x": 1}, "echo has no parameter 'x'. It takes text, times, flag"),
        ]:
            self.assertEqual(self.failed("echo", **params), (Code.INVALID_PARAMS, text))

    def test_errors_of_natsroute(self) -> None:
        """Their texts are safe to show."""
        for error, code in [
            (NatsrouteError("no\n"), Code.FAILED),
            (ParameterError("no\n"), Code.INVALID_PARAMS),
            (MethodError(7, "no\n"), 7),
        ]:

            def fail(params: object, error: Exception = error) -> None:
                raise error

            self.methods.add("fail", fail)
            self.assertEqual(self.failed("fail"), (code, "no\\n"))

    def test_faults(self) -> None:
        """Another exception is logged; the caller learns its type only, because its text may hold a secret."""
        self.methods.add("fail", lambda params: {}["a key of mine"])
        code, text = self.failed("fail")
        self.assertEqual(code, Code.INTERNAL_ERROR)
        self.assertIn("KeyError", text)
        self.assertNotIn("mine", text)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_only(self) -> None:
        """Some of the methods; those that change something have to be named."""
        self.methods.add("reload", dict, changes=True)
        self.assertEqual(self.methods.reading, ["echo"])
        self.assertEqual(list(self.methods.only(["reload", "unknown"]).names), ["reload"])


class AnswerTests(SynchronousTestCase):
    """From a line to a line."""

    def setUp(self) -> None:
        self.methods = Methods()
        self.methods.add("one", lambda params: 1)

    def answer(self, line: bytes) -> Any:
        """The answer to a request; None for none."""
        answer = self.successResultOf(self.methods.answer(line))
        return None if answer is None else json.loads(answer)

    def test_answer(self) -> None:
        self.assertEqual(
            self.answer(b'{"jsonrpc":"2.0","method":"one","id":7}'), {"jsonrpc": "2.0", "result": 1, "id": 7}
        )

    def test_notification(self) -> None:
        """The method is called, and nothing is answered, whatever comes of it."""
        called: list[object] = []
        self.methods.add("call", called.append)
        self.assertIsNone(self.answer(b'{"jsonrpc":"2.0","method":"call"}'))
        self.assertIsNone(self.answer(b'{"jsonrpc":"2.0","method":"unknown"}'))
        self.assertEqual(called, [{}])

    def test_errors(self) -> None:
        self.assertEqual(self.answer(b"{")["error"]["code"], Code.PARSE_ERROR)
        answer = self.answer(b'{"jsonrpc":"2.0","method":"two","id":7}')
        self.assertEqual((answer["error"]["code"], answer["id"]), (Code.UNKNOWN_METHOD, 7))

    def test_no_json(self) -> None:
        """A method that returns something else."""
        self.methods.add("object", lambda params: object())
        answer = self.answer(b'{"jsonrpc":"2.0","method":"object","id":7}')
        self.assertEqual(answer["error"]["code"], Code.INTERNAL_ERROR)
        self.assertIn("object returned no JSON value", answer["error"]["message"])
