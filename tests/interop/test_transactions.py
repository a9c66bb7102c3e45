"""
The transaction bridge: ``examples/transaction_bridge/`` with the real Kamailio and calls of SIPp.

``NATSROUTE_BRIDGE_CALLS=1000 python -m twisted.trial tests.interop.test_transactions`` makes 1,000 calls.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from natsroute import Event, EventRoutes
from tests.support import ROOT
from tests.support.callee import Callee
from tests.support.rpc_kamailio import RpcKamailio, RpcKamailioTestCase
from tests.support.sipp import Sipp

#: How many calls are made in all.
CALLS = int(os.environ.get("NATSROUTE_BRIDGE_CALLS", "60"))

EXAMPLE = ROOT / "examples" / "transaction_bridge"

#: The users that are called, and for calls that are refused, the code and a part of the reply.
DECIDED: list[tuple[str, dict[str, str] | None]] = [
    ("bob", None),
    ("sales", None),
    ("busy", {"CODE": "486", "REPLY": "Busy Here"}),
    ("moved", {"CODE": "302", "REPLY": "sip:carol@example.net"}),
]
#: The same for a decision that takes the event route too long.
TOO_LATE: list[tuple[str, dict[str, str] | None]] = [("slow", {"CODE": "503", "REPLY": "No Decision"})]

#: Milliseconds that no answer takes, however busy the machine is.
LONG = "30000"

#: Kamailio keeps a transaction for 5 seconds after its end, unless told otherwise.
SHORT_WAIT = 'modparam("tm", "wt_timer", 500)'


class Answers:
    """
    All answers, as Kamailio gets them.

    :ivar transactions: how many there were for each transaction.
    :ivar actions: how many there were of each action; a fallback counts as ``"fallback"``.
    """

    def __init__(self) -> None:
        self.transactions: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        if event.data == b"probe":
            return
        answer = event.json()
        self.transactions[answer["transaction"]] += 1
        self.actions["fallback" if answer.get("fallback") else answer["action"]] += 1


class BridgeTestCase(RpcKamailioTestCase):
    """
    A test with a Kamailio that asks natsroute about each call.

    :ivar callee: gets the accepted calls.
    :ivar answers: what natsroute decides.
    """

    async def start(self, timeout: str) -> RpcKamailio:
        """
        Start Kamailio, and the phone that it sends accepted calls to.

        :param timeout: milliseconds that Kamailio waits for a decision.
        """
        self.callee = Callee()
        port = self.reactor.listenUDP(0, self.callee, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.answers = Answers()
        return await self.start_rpc_kamailio(
            EXAMPLE / "kamailio.cfg",
            {"sip-decided": "not an answer: probe"},
            more=SHORT_WAIT,
            NEXT_HOP=f'"sip:127.0.0.1:{self.callee.port}"',
            DECISION_TIMEOUT=timeout,
        )

    def patient_routes(self, seconds: float = 8.0) -> str:
        """The routes of the example, with more time for each decision than two seconds: the machine may be busy."""
        source = (EXAMPLE / "routes.py").read_text("utf-8")
        self.assertEqual(source.count("timeout=2.0"), 1)
        path = self.make_folder() / "routes.py"
        path.write_text(source.replace("timeout=2.0", f"timeout={seconds}"), "utf-8")
        return str(path)

    async def start_natsroute(self, **settings: Any) -> Any:
        """Start natsroute's side; returns the service."""
        watching = EventRoutes()
        watching("nats:sip-decided")(self.answers)
        await self.connect_service(watching, subject_queue_group="sip-decided")
        return await self.connect_service(subject_queue_group="sip-decide:natsroute", **settings)

    async def call(
        self, kamailio: RpcKamailio, scenario: str, service: str, calls: int, words: Mapping[str, str] | None = None
    ) -> None:
        """Let SIPp call; fails unless each call ended as the scenario says."""
        sipp = Sipp(self.reactor, self.make_folder(), scenario, kamailio.port, service, calls, rate=25, words=words)
        self.addCleanup(sipp.stop)
        self.assertEqual(await sipp.ended(), 0, f"a call to {service} did not end as {scenario}.xml says")

    def spawn(self, *arguments: Any) -> Deferred[None]:
        """Begin to :meth:`call`; fires when all calls have ended."""
        return Deferred.fromCoroutine(self.call(*arguments))

    async def all_decided(self, calls: int) -> None:
        """Wait for an answer to each call; each got one."""
        await self.until(lambda: len(self.answers.transactions) >= calls)
        self.assertEqual(set(self.answers.transactions.values()), {1})
        self.assertEqual(len(self.answers.transactions), calls)


class TransactionBridgeTests(BridgeTestCase):
    """Both sides of the example."""

    async def decide(self, undecided: str, **settings: Any) -> None:
        """
        All kinds of decisions at once. Each call ends as decided, with one answer, and no transaction is left.

        :param undecided: the user for whom there is no decision, or none in time. Calls to it are cancelled.
        """
        kamailio = await self.start(LONG)
        service = await self.start_natsroute(**settings)
        each, calls = CALLS // 6, [*DECIDED, *(TOO_LATE if undecided == "slow" else ())]
        await gatherResults(
            [
                *(self.spawn(kamailio, "refused" if words else "answered", user, each, words) for user, words in calls),
                self.spawn(kamailio, "cancelled", undecided, each),
            ]
        )
        fallbacks = 2 * each if undecided == "slow" else 0  # also for cancelled calls
        await self.all_decided(4 * each + fallbacks)
        self.assertEqual(
            self.answers.actions,
            Counter({"accept": 2 * each, "refuse": each, "redirect": each}) + Counter({"fallback": fallbacks}),
        )
        self.assertEqual(
            Counter(uri for _, uri in self.callee.called),
            Counter({"sip:bob@example.com": each, "sip:desk7@example.com": each}),
        )
        self.assertEqual(set(self.callee.ended), {call_id for call_id, _ in self.callee.called})
        (consumer,) = service.ledger().consumers
        self.assertEqual(consumer.received, (len(calls) + 1) * each)
        stats = await self.until_no_transaction(kamailio)
        finals = {code: stats[code] for code in ("3xx", "4xx", "5xx", "6xx")}
        self.assertEqual(finals, {"3xx": each, "4xx": 2 * each, "5xx": fallbacks // 2, "6xx": 0})
        print(f"{consumer.received} calls, {each} of them cancelled; answers: {dict(self.answers.actions)}; {stats}")

    async def test_python(self) -> None:
        """An event route in Python."""
        await self.decide("slow", event_routes=self.patient_routes())

    async def test_native_script(self) -> None:
        """An event route in Kamailio's own language."""
        await self.decide("nobody", kamailio_cfg=str(EXAMPLE / "decide.cfg"))

    async def test_kemi_python(self) -> None:
        """A KEMI script in Python."""
        script = str(EXAMPLE / "kemi" / "decide.py")
        await self.decide("nobody", kemi_script=script, event_callback="on_nats")

    async def test_kemi_lua(self) -> None:
        """A KEMI script in Lua."""
        script = str(EXAMPLE / "kemi" / "decide.lua")
        await self.decide("nobody", kemi_script=script, event_callback="on_nats")

    async def test_accepted_and_refused_by_the_phone(self) -> None:
        """The caller gets the phone's reply; it is no case for Kamailio's fallback."""
        kamailio = await self.start(LONG)
        await self.start_natsroute(event_routes=self.patient_routes())
        await self.call(kamailio, "refused", "engaged", 10, {"CODE": "486", "REPLY": "Engaged"})
        stats = await self.until_no_transaction(kamailio)
        self.assertEqual((stats["4xx"], stats["5xx"], len(self.callee.called)), (10, 0, 10))


class FallbackTests(BridgeTestCase):
    """Kamailio's own fallback."""

    async def test_nobody_answers(self) -> None:
        """Without natsroute, a call is refused after the timeout."""
        kamailio = await self.start("500")
        await self.call(kamailio, "refused", "bob", 10, {"CODE": "504", "REPLY": "No Decision In Time"})
        stats = await self.until_no_transaction(kamailio)
        self.assertEqual((stats["5xx"], self.callee.called), (10, Counter()))

    async def test_answer_is_late(self) -> None:
        """It changes nothing, and the next call is decided as usual."""
        kamailio = await self.start("6000")
        await self.start_natsroute(event_routes=self.patient_routes(12.0))
        await self.call(kamailio, "refused", "slow", 10, {"CODE": "504", "REPLY": "No Decision In Time"})
        await self.all_decided(10)
        self.assertEqual(self.answers.actions, Counter({"fallback": 10}))
        await self.call(kamailio, "answered", "bob", 1)
        stats = await self.until_no_transaction(kamailio)
        self.assertEqual((stats["5xx"], len(self.callee.called)), (10, 1))

    async def test_answers_that_are_wrong(self) -> None:
        """An answer twice, to no transaction, to none at all, or with an action that Kamailio does not know."""
        event_route = EventRoutes()

        @event_route("nats:sip-decide")
        async def decide(event: Event) -> None:
            transaction = event.json()["transaction"]
            for wrong in ({}, {"transaction": "1:1", "action": "accept"}, {"transaction": "x", "action": "accept"}):
                await event.publish("sip-decided", wrong)
            for _ in range(2):
                await event.publish("sip-decided", {"transaction": transaction, "action": "dance"})

        kamailio = await self.start(LONG)
        await self.connect_service(event_route, subject_queue_group="sip-decide:natsroute")
        await self.call(kamailio, "refused", "bob", 10, {"CODE": "500", "REPLY": "Unknown Decision"})
        second = re.compile(r"another answer for transaction (?!1:1$)")
        await self.until(lambda: sum(second.search(line) is not None for line in kamailio.lines) == 10)
        stats = await self.until_no_transaction(kamailio)
        self.assertEqual((stats["5xx"], self.callee.called), (10, Counter()))

    async def test_natsroute_stops(self) -> None:
        """Calls that are not decided when it stops get the fallback of the event route at once."""
        kamailio = await self.start(LONG)
        service = await self.start_natsroute(event_routes=self.patient_routes(), drain_timeout=0.0)
        called = self.spawn(kamailio, "refused", "slow", 10, {"CODE": "503", "REPLY": "No Decision"})
        await self.until(lambda: service.ledger().consumers[0].received == 10)
        await service.stopService()
        await called
        await self.all_decided(10)
