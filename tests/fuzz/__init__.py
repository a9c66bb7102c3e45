"""
Properties that hold for any input, and a fuzzer that looks for inputs that break them: ``python -m tests.fuzz``.

:mod:`~tests.fuzz.properties` has the properties. ``corpus`` has the inputs that the fuzzer starts with, and each input
that has ever broken a property; :mod:`~tests.fuzz.test_corpus` checks them without a fuzzer. :mod:`~tests.fuzz.job` is
one fuzzing process; :mod:`~tests.fuzz.__main__` runs several and adds up what they report.
"""

from pathlib import Path

#: A folder for each property.
CORPUS = Path(__file__).parent / "corpus"
