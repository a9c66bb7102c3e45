"""natsroute.jetstream.publishing.stream_tokens"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.publishing.stream_tokens import StreamTokens


class StreamTokensTests(SynchronousTestCase):
    def test_tokens(self) -> None:
        """Each reply subject and each id is another one, and all ids have the same length."""
        tokens = StreamTokens("_INBOX")
        made = [(tokens.ready or tokens.more()).pop() for _ in range(1000)]
        self.assertEqual(len({reply for reply, _, _ in made}), 1000)
        self.assertEqual(len({one for _, _, one in made}), 1000)
        self.assertEqual({len(one) for _, _, one in made}, {tokens.id_length})
        for reply, token, _ in made:
            self.assertEqual(reply, tokens.base + token.decode())

    def test_among_processes(self) -> None:
        """Two of them have nothing in common."""
        first, second = StreamTokens("_INBOX"), StreamTokens("_INBOX")
        self.assertNotEqual(first.base, second.base)
        self.assertEqual(len(first.more()), len(second.more()))
        self.assertEqual({one for _, _, one in first.ready} & {one for _, _, one in second.ready}, set())

    def test_prefix(self) -> None:
        self.assertRegex(StreamTokens("_INBOX_billing").base, r"^_INBOX_billing\.[0-9a-f]{22}\.$")
