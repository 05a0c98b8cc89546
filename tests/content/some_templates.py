"""Writes templates and data that nobody would write, by chance."""

from random import Random
from typing import Any

TARGETS = [*"aabbblnnxx", "é", "a-b", "a?", "forloop", "tablerowloop", "size", "first", "last", "partial", "['']", "['a b']", "['empty']"]  # fmt: skip
NAMES = [*TARGETS, "['now'].b", "['nil']", "['true']", "[a]", "[['a']]"]
SEGMENTS = [".b", ".b", ".c", ".x", "['b']", "['']", "[0]", "[-1]", "[b]", "[a.b]", ".size", ".first", ".last", ".index", ".length", ".parentloop"]  # fmt: skip
LITERALS = ["'x<'", '"&b"', "''", "0", "1", "-2", "1.5", "true", "false", "nil", "(1..3)", "(a..2)", "(1..l.size)"]  # fmt: skip
PLAIN_FILTERS = ["upcase", "capitalize", "strip", "escape", "escape_once", "safe", "size", "first", "last", "sort", "sort_natural", "uniq", "compact", "reverse", "sum", "join", "abs", "round", "strip_html", "newline_to_br", "url_encode", "escapejs", "squish", "in_url", "in_url", "in_host", "in_path", "safe_url", "in_style", "default"]  # fmt: skip
FILTERS = ["default", "append", "prepend", "plus", "minus", "times", "divided_by", "modulo", "join", "map", "where", "sort", "concat", "split", "replace", "remove", "slice", "truncate", "has", "find", "reject", "at_least", "round", "safe_url", "in_url", "upcase", "date"]  # fmt: skip
TEXTS = ["", " ", "  \n ", "\n", "\r\n", "\r", "word", "<b>", "&amp;", "é", "\u0301", "'\"", "\x00", "}}", "🙂", ". ", "a "]  # fmt: skip
COMPARISONS = ["==", "!=", "<", ">", "<=", ">=", "contains", "<>"]
DEPTH = 4


class Writer:
    """Writes one template."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._choice = random.choice

    def block(self, depth: int = 0, most: int = 5) -> str:
        pieces = self._random.randint(0, most)
        return "".join(self._piece(depth) for _ in range(pieces))

    def _chance(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def _piece(self, depth: int) -> str:
        kind = self._random.randrange(12)
        if kind < 3:
            return self._choice(TEXTS)
        if kind < 7:
            opens, closes = (
                self._choice(["{{", "{{", "{{", "{{-"]),
                self._choice(["}}", "}}", "-}}"]),
            )
            return f"{opens} {self._output()} {closes}"
        if kind < 9 or depth >= DEPTH:
            return self._simple(depth)
        return self._compound(depth + 1)

    def _tag(self, inner: str) -> str:
        opens, closes = self._choice(["{%", "{%", "{%", "{%-"]), self._choice(["%}", "%}", "-%}"])
        return f"{opens} {inner} {closes}"

    def _simple(self, depth: int) -> str:
        tag = self._tag
        name, value = self._choice(TARGETS), self._value()
        return self._choice(
            [
                lambda: tag(f"assign {name} = {self._output()}"),
                lambda: tag(f"increment {name}"),
                lambda: tag(f"decrement {name}"),
                lambda: tag(f"cycle {value}, {self._value()}"),
                lambda: tag(f"cycle 'g': 'x', {value}, 'z'"),
                lambda: tag(f"echo {self._output()}"),
                lambda: tag(f"liquid echo {self._output()}\nassign {name} = {value}\nif {value}\necho 1\nendif"),
                lambda: tag(self._choice(["break", "continue"])) if depth else "",
                lambda: tag("# a note"),
                lambda: f"{tag('comment')}{{{{ a }}}}{tag('endcomment')}",
                lambda: f"{tag('raw')} {{{{ a }}}} {tag('endraw')}",
                lambda: f"{tag('doc')}{{{{ a {tag('enddoc')}",
            ]
        )()  # fmt: skip

    def _compound(self, depth: int) -> str:
        tag, block, name = self._tag, self.block, self._choice(TARGETS)
        kind = self._random.randrange(13)
        if kind < 4:
            which = self._choice(["if", "if", "unless"])
            between = "".join(
                f"{tag(f'elsif {self._condition()}')}{block(depth)}"
                for _ in range(self._choice([0, 0, 1, 2]))
            )
            default = f"{tag('else')}{block(depth)}" if self._chance(2) else ""
            return f"{tag(f'{which} {self._condition()}')}{block(depth)}{between}{default}{tag(f'end{which}')}"
        if kind < 9:
            options = self._choice(
                [
                    "",
                    "",
                    "",
                    "",
                    " limit: 1",
                    " offset: 1",
                    " offset: continue",
                    " reversed",
                    " limit: b",
                    " limit: 2 offset: continue",
                ]
            )
            default = f"{tag('else')}{block(depth)}" if self._chance(3) else ""
            return f"{tag(f'for {name} in {self._listed()}{options}')}{block(depth)}{default}{tag('endfor')}"
        if kind == 9:
            return f"{tag(f'tablerow {name} in {self._listed()} cols: 2')}{block(depth)}{tag('endtablerow')}"
        if kind == 10:
            return f"{tag(f'capture {name}')}{block(depth)}{tag('endcapture')}"
        if kind == 11:
            return f"{tag('ifchanged')}{block(depth)}{tag('endifchanged')}"
        return f"{tag(f'case {self._value()}')}{tag(f'when {self._value()}, {self._value()}')}{block(depth)}{tag('else')}{block(depth)}{tag('endcase')}"

    def _path(self) -> str:
        segments = self._choice([0, 0, 0, 1, 1, 2])
        name: str = self._choice(NAMES)
        return name + "".join(self._choice(SEGMENTS) for _ in range(segments))

    def _listed(self) -> str:
        return self._choice(["l", "l", "l", "a.l", "a", "x", self._value()])

    def _value(self) -> str:
        return self._choice(LITERALS) if self._chance(4) else self._path()

    def _argument(self) -> str:
        value = self._value()
        return "'x'" if value[0] == "[" else value

    def _output(self) -> str:
        text = self._value()
        for _ in range(self._choice([0, 0, 0, 1, 1, 2])):
            if self._chance(2):
                text += f" | {self._choice(PLAIN_FILTERS)}"
            else:
                count = self._choice([1, 1, 2])
                text += f" | {self._choice(FILTERS)}: {', '.join(self._argument() for _ in range(count))}"
                text += ", allow_false: true" if self._chance(6) else ""
        return text

    def _condition(self) -> str:
        text = self._value()
        if self._chance(3):
            text += (
                f" {self._choice(COMPARISONS)} {self._choice([self._value(), 'empty', 'blank'])}"
            )
        if self._chance(6):
            text += f" {self._choice(['and', 'or'])} {self._value()}"
        return text


WORDS = ["", "b", "<A & 'B'>", "é", "e\u0301", "c", "a", " ", "\t\n", "x\r\ny", "\r", "\x00", "javascript:x", "//h/é?q#f", "\ud83d", "\u2028", "1", "-1.5", "<b>b</b>", "red;x:y", "2024-02-30"]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 1.5, -0.0, 1e300, float("inf"), float("nan"), 10**18, 10**19, 10**400, True, False, None]  # fmt: skip
KEYS = ["b", "b", "c", "x", "l", "size", "first", "last", "", "a b", "<", "é", "0", "index"]
ROOTS = ["a", "a", "b", "l", "l", "n", "x", "é", "a-b", "a?", "", "a b", "forloop", "tablerowloop", "size", "first", "last", "partial", "now", "today", "empty", "blank", "nil", "true"]  # fmt: skip


def _some_value(random: Random, depth: int = 0) -> Any:
    kind = random.randrange(8 if depth < 3 else 5)
    if kind < 3:
        return random.choice(WORDS)
    if kind < 5:
        return random.choice(NUMBERS)
    entries = range(random.randint(0, 3))
    if kind == 5:
        return {random.choice(KEYS): _some_value(random, depth + 1) for _ in entries}
    return [_some_value(random, depth + 1) for _ in entries]


def some_data(random: Random) -> dict[str, Any]:
    data = {root: _some_value(random) for root in random.choices(ROOTS, k=random.randint(0, 8))}
    if random.randrange(3) == 0:
        data["l"] = [_some_value(random, 1) for _ in range(random.randint(0, 4))]
    return data


def some_template(random: Random) -> str:
    return Writer(random).block(most=6)
