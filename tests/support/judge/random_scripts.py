"""
Random scripts, the same for the same seed.

They use all operators and statements. What Kamailio refuses because of its types is left out, and so is what the list
of differences has: integers of more than 32 bits, ``selval`` inside of operators, ``exit`` inside of expressions.
"""

from __future__ import annotations

from random import Random

from tests.support.judge.scripts import Script, published, shown

#: What an expression is known to be.
INTEGER, STRING, UNKNOWN = "integer", "string", "unknown"

_VARIABLES = (*(f"$var({name})" for name in "abc"), *(f"$vn({name})" for name in "abc"), "$avp(a)", "$avp(b)")
_READ_ONLY = ("$var(data)", "$rm", "$(var(data){s.len})", "$(vn(a){s.int})", "$(avp(a)[*])", "$cnt($avp(a))", "$rc")
_STRINGS = ('"abc"', '"5"', '"-3"', '""', '"0x1F"', '"aBc"', "'x y'", '"12abc"', '"1" "2"', '"$var(a)"')
_NUMBERS = ("0", "1", "2", "3", "5", "7", "10", "0x1F", "010", "101b", "yes", "off")
_PATTERNS = ('"^a"', '"b"', '"[0-9]+"', '"^$"', '"C$"', '"^(5|abc)$"', '"x.y"')
_CALLS = ('is_method("OPTIONS")', 'is_method("INVITE")', "route(@R)", "route(@N)", "route(@P)")
_SAFE = ("|", "&", "^", "-", "<", ">", "<=", ">=", "ieq", "ine", "and", "or", "&&", "||", "/", "mod")

#: Routes that scripts call.
ROUTES = {
    "R": "return(3);",
    "N": "$var(i) = $var(i) + 1; return(-2);",
    "P": published("in $rc") + 'is_method("INVITE");',
}


class RandomScripts:
    """Makes scripts."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._loops = 0

    def script(self) -> Script:
        """The next one."""
        self._loops = 0
        payload = self._random.choice(["abc", "5", "", "-7", "x y", "0x10", "aBc"])
        statements = " ".join(self._statement(2) for _ in range(self._random.randint(3, 6)))
        return Script(statements, ROUTES, payload)

    def expressions(self, count: int) -> Script:
        """A script that shows the values of expressions."""
        start = " ".join(f"{variable} = {self._constant()};" for variable in self._random.sample(_VARIABLES, 5))
        payload = self._random.choice(["abc", "5", "", "-7", "x y", "0x10", "aBc"])
        shows = " ".join(shown(self.expression(self._random.randint(1, 4))[0]) for _ in range(count))
        return Script(f"{start} {shows}", ROUTES, payload)

    def expression(self, depth: int) -> tuple[str, str]:
        """An expression, and what it is known to be."""
        if depth <= 0:
            return self._leaf()
        form = self._random.randrange(10)
        if form <= 1:
            return self._sum(depth)
        if form <= 4:
            return self._operator(depth), INTEGER
        if form <= 6:
            return self._equality(depth), INTEGER
        return self._prefix(depth)

    def _constant(self) -> str:
        return self._random.choice(_STRINGS + _NUMBERS)

    def _leaf(self) -> tuple[str, str]:
        form = self._random.randrange(10)
        if form <= 5:
            return self._random.choice(_VARIABLES + _READ_ONLY[:-1]), UNKNOWN
        if form == 6:
            return self._random.choice(_STRINGS), STRING
        if form == 7:
            return self._random.choice(_CALLS), INTEGER
        return self._random.choice(_NUMBERS), INTEGER

    def _of(self, depth: int, *kinds: str) -> tuple[str, str]:
        """An expression that is not known to be something else."""
        while True:
            text, kind = self.expression(depth)
            if kind == UNKNOWN or kind in kinds:
                return text, kind

    def _enclosed(self, depth: int, *kinds: str) -> tuple[str, str]:
        text, kind = self._of(depth, *kinds)
        return (f"({text})", kind) if self._random.random() < 0.7 or " " in text else (text, kind)

    def _sum(self, depth: int) -> tuple[str, str]:
        left, kind = self._enclosed(depth - 1, INTEGER, STRING)
        rights = (INTEGER,) if kind == INTEGER else (INTEGER, STRING)
        right, _ = self._enclosed(depth - 1, *rights)
        return f"{left} + {right}", kind

    def _operator(self, depth: int) -> str:
        operator = self._random.choice(_SAFE)
        left, right = (self._enclosed(depth - 1, INTEGER)[0] for _ in range(2))
        if self._random.random() < 0.2:  # what could become large
            return (
                f"{self._random.choice(_NUMBERS)} {self._random.choice(['*', '<<', '>>'])} {self._random.randint(0, 4)}"
            )
        return f"{left} {operator} {right}"

    def _equality(self, depth: int) -> str:
        operator = self._random.choice(["==", "!=", "eq", "ne", "=~", "null"])
        if operator in ("==", "!="):
            left, kind = self._enclosed(depth - 1, INTEGER, STRING)
            right, _ = self._enclosed(depth - 1, *((INTEGER,) if kind == INTEGER else (INTEGER, STRING)))
        elif operator == "null":
            left, right = self._random.choice(_VARIABLES), "$null"
            operator = self._random.choice(["==", "!="])
        else:
            left, _ = self._enclosed(depth - 1, STRING)
            right = (
                self._random.choice(_PATTERNS) if operator == "=~" else self._enclosed(depth - 1, STRING, INTEGER)[0]
            )
        return f"{left} {operator} {right}"

    def _prefix(self, depth: int) -> tuple[str, str]:
        form = self._random.choice(["-", "!", "~", "not ", "(int)", "(str)", "strlen", "strempty", "defined "])
        if form == "(int)":
            return f"(int){self._enclosed(depth - 1, INTEGER, STRING)[0]}", INTEGER
        if form == "(str)":
            return f"(str){self._enclosed(depth - 1, INTEGER, STRING)[0]}", STRING
        if form in ("strlen", "strempty"):
            return f"{form}({self._of(depth - 1, STRING)[0]})", INTEGER
        if form == "defined ":
            return f"defined {self._random.choice(_VARIABLES)}", INTEGER
        return f"{form}{self._enclosed(depth - 1, INTEGER)[0]}", INTEGER

    def _statement(self, depth: int) -> str:
        if depth <= 0:
            return self._simple()
        form = self._random.randrange(12)
        if form <= 4:
            return self._simple()
        if form <= 7:
            return self._branch(depth)
        if form == 8:
            return self._loop(depth)
        if form <= 10:
            return self._switch(depth)
        return self._random.choice(["route(@R);", "route(@N);", "route(@P);"]) + published("$rc $var(i)")

    def _block(self, depth: int) -> str:
        return " ".join(self._statement(depth - 1) for _ in range(self._random.randint(1, 2)))

    def _simple(self) -> str:
        form = self._random.randrange(20)
        if form == 0:
            return self._random.choice(["exit;", "drop;", "return;", "return(-4);", "return 0;", "break;"])
        if form == 1:
            return f"return {self._of(2, INTEGER)[0]};"
        if form <= 3:
            return f"{self._random.choice(_CALLS[:4])}; {published('$rc')}"
        if form == 4:
            return f'xlog("L_NOTICE", "@|{self._random.choice(_VARIABLES)}\\n");'
        if form == 5:
            return f"{self._random.choice(_VARIABLES)} = $null;"
        variable = self._random.choice(_VARIABLES)
        return f"{variable} = {self.expression(self._random.randint(0, 3))[0]}; {published(f'{variable} $rc')}"

    def _branch(self, depth: int) -> str:
        text = f"if ({self._of(2, INTEGER)[0]}) {{ {self._block(depth)} }}"
        for _ in range(self._random.choice([0, 0, 1, 2])):
            text += f" else if ({self._of(2, INTEGER)[0]}) {{ {self._block(depth)} }}"
        return f"{text} else {{ {self._block(depth)} }}" if self._random.random() < 0.6 else text

    def _loop(self, depth: int) -> str:
        self._loops += 1
        counter = f"$var(w{self._loops})"
        condition = f"{counter} < {self._random.randint(0, 4)}"
        if self._random.random() < 0.3:
            condition += f" && ({self._of(1, INTEGER)[0]})"
        return f"{counter} = 0; while ({condition}) {{ {counter} = {counter} + 1; {self._block(depth)} }}"

    def _switch(self, depth: int) -> str:
        as_text = self._random.random() < 0.5
        labels = list(self._random.sample(_STRINGS if as_text else ["0", "1", "2", "-3", "5", "31"], 3))
        if as_text:
            labels = [label for label in labels if label not in ('"1" "2"',)]
            labels.append("/" + self._random.choice(_PATTERNS))
        cases = [f"case {label}: {self._block(depth) if self._random.random() < 0.8 else ''}" for label in labels]
        if self._random.random() < 0.6:
            cases.insert(self._random.randint(1, len(cases)), f"default: {self._block(depth)}")
        ends = [f"{case} {'break;' if self._random.random() < 0.6 else ''}" for case in cases]
        subject = self._of(1, *((INTEGER, STRING) if as_text else (INTEGER,)))[0]
        return f"switch ({subject}) {{ {' '.join(ends)} }}"
