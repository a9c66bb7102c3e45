"""
Properties that hold whatever comes in, and a fuzzer that looks for what breaks them: ``python -m tests.fuzz``.

:mod:`~tests.fuzz.properties` says what must hold; ``corpus`` has the inputs to begin with, and each that ever broke it;
:mod:`~tests.fuzz.test_corpus` tries those without a fuzzer; :mod:`~tests.fuzz.job` is one fuzzing process, and
:mod:`~tests.fuzz.__main__` runs some and sums up what they say.
"""

from pathlib import Path

#: A folder for each property.
CORPUS = Path(__file__).parent / "corpus"
