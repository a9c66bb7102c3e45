"""
The scenarios, a module for each, with a :class:`~benchmarks.run.scenario.Scenario` named ``SCENARIO``. To add one, add
a file.
"""
