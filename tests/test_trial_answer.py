"""natsroute.daemon.code.trial_answer"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.code.trial_answer import MAX_ERRORS, TrialAnswer


class TrialAnswerTests(SynchronousTestCase):
    """What the process of a trial says."""

    def test_answer(self) -> None:
        """In any number of parts."""
        for text, problem in (("null", None), ('"a.py is wrong"', "a.py is wrong")):
            answer = TrialAnswer("a.py")
            for char in text + "\n":
                answer.add_answer(char.encode())
            answer.add_errors(b"printed")
            self.assertEqual(answer.problem("exit code 0"), problem)

    def test_no_answer(self) -> None:
        """It has ended the process."""
        answer = TrialAnswer("a.py")
        text = "a.py: it ended the process that it was tried in (exit code 3)"
        self.assertEqual(answer.problem("exit code 3"), text)
        answer.add_errors(b"first\nSegmentation \x1bfault\n")
        self.assertEqual(answer.problem("exit code 3"), f"{text}: Segmentation \\x1bfault")

    def test_printed(self) -> None:
        """Line by line, escaped; of much, the end."""
        answer = TrialAnswer("a.py")
        self.assertEqual(answer.printed, [])
        answer.add_errors(b"a\xff\n\x1b[31m")
        answer.add_errors(b"red\n")
        self.assertEqual(answer.printed, ["a\\xff", "\\x1b[31mred"])
        answer.add_errors(b"x" * MAX_ERRORS)
        self.assertEqual(answer.printed, ["x" * 2000 + f"... ({MAX_ERRORS} characters)"])
