"""Sessions for nox: ``nox`` runs all, ``nox -s lint types`` these two, ``nox -s tests-3.12`` tests with one Python."""

import nox

nox.options.default_venv_backend = "venv"


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and lint rules."""
    session.install("ruff>=0.8")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, in strict mode."""
    session.install(".[dev]")
    session.run("mypy")


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """
    Run all tests, or the ones that you name: ``nox -s tests-3.12 -- tests.test_parser``.

    ``NATSROUTE_PURE=1 nox -s tests-3.12`` runs them without the compiled hot path.
    """
    session.install("-e", ".[test]")  # so that the hot path is compiled in the checkout, where the tests run
    session.run("python", "-m", "twisted.trial", *(session.posargs or ["tests"]))
