"""
The scenarios, a module for each, with ``MEASURES`` and ``run(stage, peer)``, which gives an
:class:`~benchmarks.stage.Outcome`.

A scenario to come is a module here and its name in ``SCENARIOS``.
"""

#: In the order of the table.
SCENARIOS = ("consume", "relay", "round_trip")
