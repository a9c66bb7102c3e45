"""natsroute.daemon.settings.kamailio_settings"""

from __future__ import annotations

from typing import Any

from natsroute.daemon.settings.kamailio_settings import KamailioSettings, with_kamailio_cfg
from natsroute.daemon.settings.settings import SETTING_FIELDS, Settings
from natsroute.daemon.settings.sources import Given
from natsroute.errors import ScriptError, SettingError
from tests.support.cfg_files import CfgTestCase

#: The fields of the settings, with one for KEMI scripts.
WITH_KEMI = {**SETTING_FIELDS, "kemi_script": SETTING_FIELDS["kamailio_cfg"]}


class SourceTests(CfgTestCase):
    """The modparams of a file as settings."""

    def values(self, text: str, fields: Any = SETTING_FIELDS) -> dict[str, Any]:
        """The values, without their origins."""
        return {name: one.value for name, one in KamailioSettings(self.read(text), fields).values().items()}

    def refuse(self, text: str, setting: str, column: int, problem: str, remedy: str) -> None:
        """The text has this error, with its origin."""
        source = KamailioSettings(self.read(text), SETTING_FIELDS)
        error = self.assertRaises(SettingError, source.values)
        self.assertEqual((error.setting, error.problem), (setting, problem))
        self.assertEqual(error.origin, f"{self.folder}/kamailio.cfg:1:{column}")
        self.assertIn(remedy, error.remedy)
        self.assertNotIn("hunter2", str(error))

    def test_of_nats(self) -> None:
        """Those of Kamailio's module. The last value counts, or all of them."""
        text = """
        modparam("nats", "nats_url", "nats://a:4222")
        modparam("nats", "nats_url", "nats://b")
        modparam("nats", "num_publish_workers", 3)
        modparam("nats", "num_publish_workers", 4)
        modparam("nats|other", "subject_queue_group", "a,b:q:1")
        modparam("other", "subject_queue_group", "x")
        modparam("nats", "event_callback", "on_event")
        modparam("nats", "tls", 1)
        modparam("nats", "tls_ca_file", "ca.pem")
        """
        self.assertEqual(
            {name: value for name, value in self.values(text).items() if name != "subject_queue_group"},
            {
                "nats_url": ["nats://a:4222", "nats://b"],
                "num_publish_workers": 4,
                "event_callback": "on_event",
                "tls": 1,
                "tls_ca_file": "ca.pem",
            },
        )
        ((entry,),) = [value for name, value in self.values(text).items() if name == "subject_queue_group"]
        self.assertEqual((entry.subject, entry.queue_group), ("a,b", "q:1"))

    def test_of_natsroute(self) -> None:
        """All settings, for a part of the file that Kamailio does not see."""
        text = """
        #!ifdef NATSROUTE
        modparam("natsroute", "drain_timeout", 5)
        modparam("natsroute", "event_routes", "a.py")
        modparam("natsroute", "event_routes", "b.py")
        #!endif
        """
        self.assertEqual(self.values(text), {"drain_timeout": 5, "event_routes": ["a.py", "b.py"]})

    def test_kemi_script(self) -> None:
        """The script that app_lua or app_python3 loads, in the working directory or beside the file."""
        text = 'modparam("app_lua", "load", "a.lua")\nmodparam("app_lua", "reload", 1)'
        self.assertEqual(self.values(text, WITH_KEMI), {"kemi_script": str(self.folder / "a.lua")})
        absolute = self.values('modparam("app_python3", "load", "/x/a.py")', WITH_KEMI)
        former_name = self.values('modparam("app_python3", "script_name", "/x/a.py")', WITH_KEMI)
        self.assertEqual(former_name, {"kemi_script": "/x/a.py"})
        other_module = self.values('modparam("app_lua", "script_name", "/x/a.lua")', WITH_KEMI)
        self.assertEqual(other_module, {})
        self.assertEqual(absolute, {"kemi_script": "/x/a.py"})
        without = {name: field for name, field in SETTING_FIELDS.items() if name != "kemi_script"}
        self.assertEqual(self.values(text, without), {})

    def test_errors(self) -> None:
        """An unknown parameter, the wrong kind of value, and what is malformed."""
        for text, setting, column, problem, remedy in [
            ('"nats", "nats_ulr", "x"', "nats_ulr", 30, "nats has no such parameter", "Did you mean nats_url?"),
            ('"nats", "xyzzy", 1', "xyzzy", 27, "nats has no such parameter", "Its parameters are nats_url, num_"),
            (
                '"natsroute", "drain_timeuot", 1',
                "drain_timeuot",
                40,
                "natsroute has no such parameter",
                "drain_timeout?",
            ),
            ('"natsroute", "kamailio_cfg", "x"', "kamailio_cfg", 39, "natsroute has no such parameter", ""),
            ('"nats", "nats_url", 5', "nats_url", 30, "it is a string in Kamailio", "Write it in quotes"),
            ('"app_lua", "load", 5', "load", 29, "it is a string in Kamailio", "Write it in quotes"),
            ('"nats", "tls", "1"', "tls", 25, "it is a number in Kamailio", "Write it without quotes"),
            ('"nats", "subject_queue_group", "a b:c"', "subject_queue_group", 41, None, "SUBJECT:GROUP"),
            ('"nats", "nats_url", "http://u:hunter2@x"', "nats_url", 30, None, ""),
        ]:
            source = KamailioSettings(self.read(f"modparam({text})"), SETTING_FIELDS)
            found = self.assertRaises(SettingError, source.values).problem
            self.refuse(f"modparam({text})", setting, column, found if problem is None else problem, remedy)

    def warnings(self, text: str) -> list[str]:
        return list(KamailioSettings(self.read(text), SETTING_FIELDS).warnings())

    def test_warnings(self) -> None:
        """What Kamailio ignores in silence."""
        at = f"{self.folder}/kamailio.cfg:"
        text = """#!else
        modparam("nats", "subject_queue_group", "a")
        modparam("nats", "subject_queue_group", "a:q")
        modparam("nats", "tls", 0)
        modparam("htable", "htable", "t=>dbtable=x")"""
        self.assertEqual(
            self.warnings(text),
            [
                f"{at}1:1: #!else without #!ifdef counts as a comment",
                f"{at}5:38: the htable t has dbtable: the table is empty at the start and is not written to a database",
                f"{at}2:49: subject_queue_group 'a' has no group: Kamailio ignores it, and natsroute subscribes "
                "without one",
                f"{at}4:33: tls: Kamailio has it from version 6.2 on",
            ],
        )

    def test_warnings_of_servers(self) -> None:
        """Their order, their number and their length; a URL is not shown."""
        at = f"{self.folder}/kamailio.cfg:"
        order = (
            f"{at}1:30: Kamailio puts several nats_url into the reverse order and shuffles them. natsroute shuffles "
            "them, or keeps the order of the file with keep_url_order. Each connection uses one at a time"
        )
        many = f"{at}1:30: of 11 nats_url, Kamailio uses the last 10, and natsroute all"
        long = f"{at}1:30: a nats_url with more than 256 characters: Kamailio does not accept it"
        server = 'modparam("nats", "nats_url", "nats://a")\n'
        self.assertEqual([self.warnings(server * count) for count in (1, 2, 10)], [[], [order], [order]])
        self.assertEqual(self.warnings(server * 11), [many, order])
        self.assertEqual(self.warnings(f'modparam("nats", "nats_url", "nats://u:p@{"h" * 250}")'), [long])
        self.assertEqual(self.warnings(f'modparam("nats", "nats_url", "nats://{"h" * 249}")'), [])


class AddedTests(CfgTestCase):
    """A file among other sources."""

    def add(self, text: str, fields: Any = SETTING_FIELDS, **given: Any) -> Any:
        path = str(self.write(text))
        sources = {name: Given(value, f"--{name}") for name, value in {"kamailio_cfg": path, **given}.items()}
        return with_kamailio_cfg(sources, {"HOME": "/root"}, fields)

    def values(self, text: str, fields: Any = SETTING_FIELDS, **given: Any) -> dict[str, Any]:
        found = self.add(text, fields, **given).given
        return {name: one.value for name, one in found.items() if name != "kamailio_cfg"}

    def test_without(self) -> None:
        """Without a file, the settings stay as they are."""
        given = {"nats_url": Given("nats://a")}
        for more in ({}, {"kamailio_cfg": Given("")}):
            found = with_kamailio_cfg({**given, **more}, {}, SETTING_FIELDS)
            self.assertEqual((found.given, found.cfg, found.warnings), ({**given, **more}, None, ()))

    def test_precedence(self) -> None:
        """What is given stays; TLS is taken as a whole or not at all."""
        text = """modparam("nats", "nats_url", "nats://a")
        modparam("nats", "num_publish_workers", 3)
        modparam("nats", "tls", 1)
        modparam("nats", "tls_ca_file", "ca.pem")"""
        self.assertEqual(
            self.values(text, num_publish_workers="5"),
            {"nats_url": ["nats://a"], "num_publish_workers": "5", "tls": 1, "tls_ca_file": "ca.pem"},
        )
        self.assertEqual(
            self.values(text, tls="1", nats_url="x"), {"nats_url": "x", "num_publish_workers": 3, "tls": "1"}
        )

    def test_file(self) -> None:
        """It is read with the environment, and there is what it says."""
        found = self.add("#!defenv HOME\n#!else\nroute[A] { exit; }")
        self.assertEqual(found.cfg.definitions[b"HOME"], b"/root")
        self.assertEqual([block.name for block in found.cfg.blocks], ["A"])
        self.assertEqual(len(found.warnings), 1)
        error = self.assertRaises(ScriptError, self.add, "route[A] {")
        self.assertEqual(error.file, str(self.folder / "kamailio.cfg"))

    def test_callback(self) -> None:
        """It names a function of a KEMI script, so that there must be one; a script without a callback is not ours."""
        callback, script = 'modparam("nats", "event_callback", "f")\n', 'modparam("app_python3", "load", "/a.py")\n'
        both = {"event_callback": "f", "kemi_script": "/a.py"}
        self.assertEqual(self.values(callback + script, WITH_KEMI), both)
        self.assertEqual(self.values(script, WITH_KEMI), {})
        self.assertEqual(self.values(callback, WITH_KEMI, kemi_script="/a.py"), both)
        self.assertEqual(self.values(script, WITH_KEMI, event_callback="f"), both)
        error = self.assertRaises(SettingError, self.values, callback, WITH_KEMI)
        self.assertEqual(error.problem, "it names a function of a KEMI script, and there is none")
        self.assertEqual((error.setting, error.origin), ("event_callback", f"{self.folder}/kamailio.cfg:1:36"))
        self.assertEqual(self.values("", WITH_KEMI, event_callback="m:f"), {"event_callback": "m:f"})


class SettingsTests(CfgTestCase):
    """Settings that a file is a source of."""

    def load(self, text: str, environment: dict[str, str] | None = None, **settings: Any) -> Settings:
        return Settings.from_environment(environment or {}, kamailio_cfg=str(self.write(text)), **settings)

    def test_sources(self) -> None:
        """It is below the environment, and above the context of the nats tool."""
        folder = self.folder / "nats" / "context"
        folder.mkdir(parents=True)
        (folder / "c.json").write_text('{"url": "nats://context", "user": "u"}')
        environment = {"NATSROUTE_NUM_PUBLISH_WORKERS": "5", "XDG_CONFIG_HOME": str(self.folder)}
        text = 'modparam("nats", "nats_url", "nats://cfg")\nmodparam("nats", "num_publish_workers", 3)'
        settings = self.load(text, environment, nats_context="c")
        self.assertEqual((settings.nats_url, settings.num_publish_workers, settings.user), (("nats://cfg",), 5, "u"))
        self.assertEqual(settings.origins["nats_url"], f"{self.folder}/kamailio.cfg:1:30")
        assert settings.cfg is not None
        self.assertEqual(settings.cfg.path, str(self.folder / "kamailio.cfg"))

    def test_errors(self) -> None:
        """They name the position."""
        error = self.assertRaises(SettingError, self.load, 'modparam("nats", "num_publish_workers", 0)')
        self.assertEqual(error.origin, f"{self.folder}/kamailio.cfg:1:41")
        error = self.assertRaises(SettingError, self.load, 'modparam("nats", "tls_ca_file", "x")')
        self.assertIn("tls is 0", error.problem)
        error = self.assertRaises(SettingError, Settings, kamailio_cfg="x")
        self.assertEqual(error.problem, "Settings(...) reads no files")
        self.assertIn("kamailio_cfg='", error.remedy)

    def test_path(self) -> None:
        """It is absolute: twistd may change the directory."""
        self.write("")
        relative = str(self.folder / ".." / self.folder.name / "kamailio.cfg")
        settings = Settings.from_environment({}, kamailio_cfg=relative)
        self.assertEqual(settings.kamailio_cfg, str(self.folder / "kamailio.cfg"))
