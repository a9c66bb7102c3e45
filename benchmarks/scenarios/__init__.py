"""
The scenarios, a module for each, with a :class:`~benchmarks.scenario.Scenario` named ``SCENARIO``; a scenario to come
is one file more.
"""
