"""natsroute.kamailio.kemi.ksr.pua_json"""

from __future__ import annotations

from tests.support.kemi_scripts import ScriptCase, new_event


class PuaJsonTests(ScriptCase):
    """``KSR.pua_json.publish()``, as ``pua_json_publish()`` of native scripts."""

    def test_publish(self) -> None:
        self.service.pua_json_subject = "presence"
        calls = [(1, "pua_json.publish", b'{"a": 1}'), (-1, "pua_json.publish", b"{"), (-1, "pua_json.publish", b"")]
        self.check_calls(new_event(), calls)
        self.assertEqual(self.published, [("presence", b'{"a": 1}', None)])
        self.assertEqual(self.failures[0], ("KSR.pua_json.publish()", "the payload is not JSON"))
