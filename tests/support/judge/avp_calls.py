"""Calls of the functions that look at AVPs, delete and copy them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.judge.calls import Assignment, Call

#: Values of an AVP, the newest last. Those of an empty string are asked for with ``is_avp_set`` alone.
_VALUES: tuple[tuple[str | int, ...], ...] = (
    *(
        (),
        ("text",),
        (5,),
        (0,),
        ("",),
        ("12",),
        ("0x1f",),
        (1, "a", "ba"),
        ("a", "7"),
        ("t", 7),
        ("é", -3),
        ("1", "2"),
    ),
)


def avp_calls() -> Iterator[Call]:
    """All of them, with values and flags of all kinds."""
    shows = ("$(avp(aNNN)[*])", "$(avp(cNNN)[*])", "$cnt($avp(aNNN))", "$cnt($avp(cNNN))")
    for values in _VALUES:
        before = tuple(Assignment("$avp(aNNN)", value) for value in values)
        for flags in ("", "/e", "/n", "/s", "/ne", "/se"):
            yield Call("is_avp_set", (f"$avp(aNNN){flags}",), before, shows)
        for flags in ("", "/g"):
            yield Call("avp_delete", (f"$avp(aNNN){flags}",), before, shows)
        for flags in ("", "/g", "/d", "/gd", "/n", "/s", "/gn", "/gs", "/dn", "/gds"):
            yield Call(
                "avp_copy", ("$avp(aNNN)", f"$avp(cNNN){flags}"), (*before, Assignment("$avp(cNNN)", "old")), shows
            )
            yield Call("avp_copy", ("$avp(aNNN)", f"$avp(aNNN){flags}"), before, shows)
