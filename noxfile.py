"""Sessions for nox: ``nox`` runs all of them, ``nox -s lint types`` those two, ``nox -s tests-3.12`` one Python."""

import nox

nox.options.default_venv_backend = "venv"


@nox.session
def lint(session: nox.Session) -> None:
    """Format and lint rules."""
    session.install("ruff>=0.8")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Type check, strict."""
    session.install(".[dev]")
    session.run("mypy")


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The tests, or those that are named: ``nox -s tests-3.12 -- tests.test_parser``."""
    session.install(".[test]")
    session.run("python", "-m", "twisted.trial", *(session.posargs or ["tests"]))
