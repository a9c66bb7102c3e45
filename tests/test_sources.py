"""natsroute.daemon.settings.sources"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.settings.sources import Arguments, Environment, Given, Origins, merged
from natsroute.errors import SettingError


class ArgumentsTests(SynchronousTestCase):
    """What a program gives."""

    def test_values(self) -> None:
        """They are taken as they are, and no origin is named for them."""
        self.assertEqual(Arguments({"user": "u", "tls": 0}).values(), {"user": Given("u"), "tls": Given(0)})


class EnvironmentTests(SynchronousTestCase):
    """Variables."""

    def values(self, **variables: str) -> dict[str, Given]:
        return Environment(variables, ["nats_url", "user", "tls"]).values()

    def test_values(self) -> None:
        """Each has the variable as its origin. Other variables and empty ones are left out."""
        self.assertEqual(
            self.values(NATSROUTE_NATS_URL="nats://a", NATSROUTE_USER="", HOME="/", NATSROUTE="x"),
            {"nats_url": Given("nats://a", "NATSROUTE_NATS_URL")},
        )

    def test_unknown(self) -> None:
        """The error names the variable and the nearest that exists, and not its value."""
        error = self.assertRaises(SettingError, self.values, NATSROUTE_NATS_ULR="nats://u:hunter2@a")
        self.assertEqual(error.setting, "NATSROUTE_NATS_ULR")
        self.assertEqual(error.remedy, "Did you mean NATSROUTE_NATS_URL?")
        self.assertNotIn("hunter2", str(error))

    def test_unlike_any_setting(self) -> None:
        """The error says where all of them are listed."""
        error = self.assertRaises(SettingError, self.values, NATSROUTE_ZZZ="x")
        self.assertEqual(error.remedy, "'twistd natsroute --help' lists all settings")

    def test_hot_path(self) -> None:
        """The variables that say which hot path is built, and which one runs, are no settings."""
        self.assertEqual(self.values(NATSROUTE_PURE="1", NATSROUTE_EXTENSION="none"), {})
        self.assertRaises(SettingError, self.values, NATSROUTE_PURE_PYTHON="1")

    def test_kubernetes(self) -> None:
        """What Kubernetes tells each container of a Service named natsroute, or natsroute-web, is no setting."""
        address = "10.0.0.1"
        for name in ("NATSROUTE", "NATSROUTE_WEB"):
            variables = {
                f"{name}_SERVICE_HOST": address,
                f"{name}_SERVICE_PORT": "80",
                f"{name}_SERVICE_PORT_HTTP": "80",
                f"{name}_SERVICE_PORT_HTTP_ALT": "8080",
                f"{name}_PORT": f"tcp://{address}:80",
                f"{name}_PORT_80_TCP": f"tcp://{address}:80",
                f"{name}_PORT_80_TCP_PROTO": "tcp",
                f"{name}_PORT_80_TCP_PORT": "80",
                f"{name}_PORT_80_TCP_ADDR": address,
                f"{name}_PORT_53_UDP": f"udp://{address}:53",
                f"{name}_PORT_9_SCTP_ADDR": address,
            }
            self.assertEqual(self.values(NATSROUTE_USER="u", **variables), {"user": Given("u", "NATSROUTE_USER")})

    def test_like_kubernetes(self) -> None:
        """A setting wins. A variable that is named like these, with another value, is a mistake."""
        found = Environment({"NATSROUTE_A_PORT": "tcp://10.0.0.1:80"}, ["a_port"]).values()
        self.assertEqual(found["a_port"].value, "tcp://10.0.0.1:80")
        for variable in ("NATSROUTE_PORT", "NATSROUTE_NATS_PORT", "NATSROUTE_SERVICE_PORT"):
            self.assertRaises(SettingError, self.values, **{variable: "nats"})

    def test_unknown_and_empty(self) -> None:
        """An empty variable is not a setting either, if its name is wrong."""
        self.assertRaises(SettingError, self.values, NATSROUTE_NATS_ULR="")


class MergedTests(SynchronousTestCase):
    """Several sources."""

    def test_the_first_wins(self) -> None:
        sources = [
            Arguments({"user": "first"}),
            Environment({"NATSROUTE_USER": "x", "NATSROUTE_TLS": "1"}, ["user", "tls"]),
        ]
        self.assertEqual(merged(sources), {"user": Given("first"), "tls": Given("1", "NATSROUTE_TLS")})

    def test_the_first_wins_even_if_it_is_off(self) -> None:
        """0 on the command line turns off what a variable turns on."""
        sources = [Arguments({"tls": "0"}), Environment({"NATSROUTE_TLS": "1"}, ["tls"])]
        self.assertEqual(merged(sources), {"tls": Given("0")})


class GivenTests(SynchronousTestCase):
    """One value."""

    def test_the_value_is_not_shown(self) -> None:
        self.assertNotIn("hunter2", repr(Given("hunter2", "--password")))


class OriginsTests(SynchronousTestCase):
    """Where each value came from."""

    origins = Origins.of({"user": Given("u", "--user"), "token": Given("t", "NATSROUTE_TOKEN"), "tls": Given(1)})

    def raised(self, setting: str, **options: str) -> SettingError:
        def fail() -> None:
            with self.origins.in_errors():
                raise SettingError(setting, "x", "problem", "Remedy", **options)

        error: SettingError = self.assertRaises(SettingError, fail)
        return error

    def test_contains(self) -> None:
        """A setting that the program gave is there, too."""
        self.assertEqual([name in self.origins for name in ("user", "tls", "nats_url")], [True, True, False])

    def test_several(self) -> None:
        """Each origin is named once."""
        self.assertEqual(self.origins["user and token"], "--user and NATSROUTE_TOKEN")
        self.assertEqual(self.origins["user and tls and user"], "--user")
        self.assertEqual(self.origins["tls"], "")

    def test_in_errors(self) -> None:
        error = self.raised("user")
        self.assertEqual(str(error), "user = 'x' (from --user): problem. Remedy")
        self.assertEqual((error.setting, error.value, error.origin, error.remedy), ("user", "x", "--user", "Remedy"))

    def test_errors_without_an_origin(self) -> None:
        """Of a value that a program gave, or a default, nothing is said."""
        for setting in ("tls", "nats_url"):
            self.assertEqual(str(self.raised(setting)), f"{setting} = 'x': problem. Remedy")

    def test_an_origin_that_is_there(self) -> None:
        """It stays: who raised the error knew better."""
        self.assertEqual(self.raised("user", origin="a file").origin, "a file")

    def test_other_errors(self) -> None:
        """They pass."""

        def fail() -> None:
            with self.origins.in_errors():
                raise ValueError("user")

        self.assertRaises(ValueError, fail)
