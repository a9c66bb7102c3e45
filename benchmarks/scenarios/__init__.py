"""
What is measured: a module for each scenario.

Each module defines a :class:`~benchmarks.run.scenario.Scenario` named ``SCENARIO``. :mod:`benchmarks.catalogue` finds
the modules, so a new file is a new scenario.
"""
