"""natsroute.kamailio.cfg.htables"""

from __future__ import annotations

from typing import Any

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.htables import tables_of
from tests.support.cfg_files import CfgTestCase


class TablesTests(CfgTestCase):
    """The tables of a kamailio.cfg."""

    def made(self, *definitions: str) -> tuple[dict[bytes, dict[str, Any]], list[str]]:
        """The arguments of each table, and the warnings."""
        text = "\n".join(f'modparam("htable", "htable", "{definition}")' for definition in definitions)
        tables, warnings = tables_of(self.read(text), make=lambda **arguments: arguments)  # type: ignore[arg-type,return-value]
        return tables, [str(warning) for warning in warnings]  # type: ignore[return-value]

    def test_attributes(self) -> None:
        """Those that concern us are used, those that do not are ignored."""
        tables, warnings = self.made(
            "a=>size=8;autoexpire=300;initval=-5;updateexpire=0;",
            " b => size = 8 ; dbmode=1;cols='x';coldelim=,;colnull=*;dbtable=;dmqreplicate=0",
            "c=>autoexpire='60';initval='7'",
        )
        self.assertEqual(
            tables,
            {
                b"a": {"expire": 300, "initial": -5, "update_expire": False},
                b"b": {"expire": 0, "initial": None, "update_expire": True},
                b"c": {"expire": 60, "initial": 7, "update_expire": True},
            },
        )
        self.assertEqual(warnings, [])

    def test_warnings(self) -> None:
        """What our tables do not do."""
        _, warnings = self.made("a=>size=8;dbtable=ht;dmqreplicate=1")
        at = f"{self.folder}/kamailio.cfg:1:30"
        self.assertEqual(
            warnings,
            [
                f"{at}: the htable a has dbtable: the table is empty at the start and is not written to a database",
                f"{at}: the htable a has dmqreplicate: the table is not replicated to other servers",
            ],
        )

    def test_others(self) -> None:
        """Other parameters and modules are passed over."""
        text = 'modparam("htable", "timer_interval", 5)\nmodparam("other", "htable", "x")\n'
        self.assertEqual(tables_of(self.read(text)), ({}, []))

    def test_real_tables(self) -> None:
        """They are those of expressions."""
        tables, _ = tables_of(self.read('modparam("htable", "htable", "a=>initval=5;")'))
        self.assertEqual(tables[b"a"].get(b"x"), 5)

    def test_errors(self) -> None:
        """Each has the position of its modparam."""
        for definition, problem in [
            ("5", "it defines no htable"),
            ('"a"', "it defines no htable"),
            ('"=>size=8"', "it defines no htable"),
            ('"a=>siz=8"', "an htable has no attribute siz"),
            ('"a=>autoexpire"', "autoexpire has no value"),
            ('"a=>autoexpire=-1"', "autoexpire of an htable is a number, and not '-1'"),
            (f'"a=>initval={"9" * 5000}"', f"initval of an htable is a number, and not '{'9' * 5000}'"),
            ('"a=>initval=x"', "initval of an htable is a number, and not 'x'"),
        ]:
            cfg = self.read(f'\nmodparam("htable", "htable", {definition})')
            error = self.assertRaises(ScriptError, tables_of, cfg)
            self.assertEqual((error.line, error.column, error.problem), (2, 30, problem))
        cfg = self.read('modparam("htable", "htable", "a=>")\n' * 2)
        error = self.assertRaises(ScriptError, tables_of, cfg)
        self.assertEqual((error.line, error.problem), (2, "the htable a is there already"))
