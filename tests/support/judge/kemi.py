# Runs unchanged in Kamailio, for a SIP request, and in natsroute, for a message to "checks". It publishes to "checked"
# what each check gives: its name, the type of what it returns, and the value.

import sys

import KSR as KSR

checks = {
    "get of $var that nobody set": lambda: KSR.pv.get("$var(none)"),
    "get of null": lambda: KSR.pv.get("$vn(none)"),
    "gete of null": lambda: KSR.pv.gete("$vn(none)"),
    "getw of null": lambda: KSR.pv.getw("$vn(none)"),
    "get of what does not exist": lambda: KSR.pv.get("$nosuch"),
    "gete of what does not exist": lambda: KSR.pv.gete("$nosuch"),
    "seti": lambda: KSR.pv.seti("$var(i)", 42),
    "get of an integer": lambda: KSR.pv.get("$var(i)"),
    "sets": lambda: KSR.pv.sets("$var(s)", "t\u00e9xt"),
    "get of a string": lambda: KSR.pv.get("$var(s)"),
    "get of its length": lambda: KSR.pv.get("$(var(s){s.len})"),
    "getvn of null": lambda: KSR.pv.getvn("$vn(none)", 5),
    "getvs of null": lambda: KSR.pv.getvs("$vn(none)", "default"),
    "getvs of a value": lambda: KSR.pv.getvs("$var(s)", "default"),
    "geti of digits": lambda: (KSR.pv.sets("$var(d)", "12"), KSR.pv.geti("$var(d)"))[1],
    "geti of text": lambda: (KSR.pv.sets("$var(d)", "x"), KSR.pv.geti("$var(d)"))[1],
    "unset": lambda: (KSR.pv.sets("$vn(v)", "x"), KSR.pv.unset("$vn(v)"))[1],
    "is_null": lambda: KSR.pv.is_null("$vn(v)"),
    "is_null of a value": lambda: KSR.pv.is_null("$var(s)"),
    "sets of bytes that are not UTF-8": lambda: KSR.pv.sets("$var(b)", KSR.pv.get("$(var(h){s.decode.hexa})")),
    "get of bytes that are not UTF-8": lambda: (KSR.pv.sets("$var(h)", "ff"), KSR.pv.get("$(var(h){s.decode.hexa})"))[
        1
    ],
    "get with a wrong type": lambda: KSR.pv.get(5),
    "get without an argument": lambda: KSR.pv.get(),
    "get with two arguments": lambda: KSR.pv.get("$var(s)", "more"),
    "sets of an integer": lambda: KSR.pv.sets("$var(s)", 5),
    "seti of a string": lambda: KSR.pv.seti("$var(i)", "5"),
    "json.parse": lambda: (KSR.pv.sets("$var(j)", '{"a":{"b":[1,"x"]}}'), KSR.pv.get("$(var(j){json.parse,a.b[1]})"))[
        1
    ],
    "json.parse of null": lambda: KSR.pv.get("$(var(j){json.parse,none})"),
    "sht_sets": lambda: KSR.htable.sht_sets("t", "a", "value"),
    "sht_get": lambda: KSR.htable.sht_get("t", "a"),
    "sht_get of null": lambda: KSR.htable.sht_get("t", "none"),
    "sht_gete of null": lambda: KSR.htable.sht_gete("t", "none"),
    "sht_seti": lambda: (KSR.htable.sht_seti("t", "b", 5), KSR.htable.sht_get("t", "b"))[1],
    "sht_inc": lambda: KSR.htable.sht_inc("n", "c"),
    "sht_rm": lambda: KSR.htable.sht_rm("t", "a"),
    "var_sets": lambda: (KSR.pvx.var_sets("p", "x"), KSR.pvx.var_get("p"))[1],
    "avp_sets": lambda: (KSR.pvx.avp_sets("p", "x"), KSR.pvx.avp_get("p"))[1],
    "xavp_child_sets": lambda: (KSR.pvx.xavp_child_sets("c", "f", "x"), KSR.pv.get("$xavp(c=>f)"))[1],
    "info": lambda: KSR.info("a line\n"),
    "xinfo": lambda: KSR.xlog.xinfo("a line $var(s)\n"),
    "is_OPTIONS": lambda: KSR.is_OPTIONS(),
    "is_INVITE": lambda: KSR.is_INVITE(),
    "is_method_in": lambda: KSR.is_method_in("IO"),
    "is_method_in of others": lambda: KSR.is_method_in("IB"),
    "jansson.get": lambda: (KSR.jansson.get("a", '{"a":"x"}', "$var(j)"), KSR.pv.get("$var(j)")),
    "cmp_str": lambda: KSR.textops.cmp_str("a", "b"),
    "starts_with": lambda: KSR.textops.starts_with("abc", "ab"),
    "publish": lambda: KSR.nats.publish("nobody", "x"),
    "setflag": lambda: (KSR.setflag(5), KSR.isflagset(5), KSR.isflagset(6)),
    "a module that is not there": lambda: KSR.nosuch,
    "a function that is not there": lambda: KSR.pv.nosuch,
    "hasattr": lambda: (hasattr(KSR, "nosuch"), hasattr(KSR, "pv"), hasattr(KSR.pv, "get")),
}


def mod_init():
    return Judge()


class Judge:
    def child_init(self, rank):
        return 0

    def publish_checks(self):
        found = []
        for name, check in checks.items():
            try:
                value = check()
                found.append(f"{name} -> {type(value).__name__}: {value}")
            except (TypeError, SystemError):  # Kamailio raises the second
                found.append(f"{name} -> refused its arguments")
            except Exception as error:
                found.append(f"{name} -> raised {type(error).__name__}")
        KSR.nats.publish("checked", "\n".join(found))

    def ksr_request_route(self, msg):
        self.publish_checks()
        return 1

    def ksr_nats_event(self, msg, evname):
        if evname == "nats:checks":
            self.publish_checks()
            sys.exit()
