# SPDX-License-Identifier: MIT
"""C++ text as a list of full expressions, for lint_gcc12.py.

It is not a compiler's front end: it knows tokens, brackets, and a few rules that tell a function's
body from an initialiser, and a lambda from a subscript. A lambda is one token of the expression
that it is part of; its body is a list of statements of its own. Names and types are not known.
"""

import re
from dataclasses import dataclass, field

# -- tokens ----------------------------------------------------------------------------------------
WORD, NUMBER, TEXT, MARK = "word", "number", "text", "mark"
TOKEN = re.compile(
    r"""
      (?P<comment>//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/)
    | (?P<raw>(?:u8|u|U|L)?R"(?P<fence>[^()\\\s]*)\(.*?\)(?P=fence)"\w*)
    | (?P<text>(?:u8|u|U|L)?"(?:\\.|[^"\\\n])*"\w*|(?:u8|u|U|L)?'(?:\\.|[^'\\\n])+')
    | (?P<directive>^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)
    | (?P<number>\.?[0-9](?:[eEpP][+-]|'?[\w.])*)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<mark>::|->|\.\.\.|&&|\|\||==|!=|<=|>=|<<|\+\+|--|[-+*/%&|^]=|\S)
""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


@dataclass
class Token:
    kind: str
    text: str
    line: int


def tokens_of(text):
    """The tokens without comments and preprocessor lines, and the lines that say `lint: safe` with
    a reason."""
    found, safe, line, last = [], set(), 1, 0
    for match in TOKEN.finditer(text):
        line += text.count("\n", last, match.start())
        last = match.start()
        kind = match.lastgroup if match.lastgroup != "fence" else "raw"
        word = match.group(0)
        if kind == "comment":
            if re.match(r"//\s*lint: safe\b[,:]?\s+\w", word):
                safe.add(line)
        elif kind != "directive":
            found.append(Token(TEXT if kind in ("raw", "text") else kind, word, line))
    return found, safe


# -- full expressions ------------------------------------------------------------------------------
@dataclass
class Lambda:
    captures: list  # of lists of tokens
    line: int
    kind: str = "lambda"
    text: str = "[...]"


@dataclass
class Brace:
    """An initialiser's opening brace. `type` is the text before it ("" for none); `named` says that
    this text is the name of a declared variable."""

    line: int
    type: str
    named: bool
    kind: str = "brace"
    text: str = "{"


@dataclass
class Body:
    """The body of a function: whether it declares a variable, and its conditions that may wait."""

    declares: bool = False
    conditions: list = field(default_factory=list)


HEADS = {"if", "while", "for", "switch", "catch"}
PAIRS = {"(": ")", "[": "]", "{": "}"}
BEFORE_BODY = {"const", "noexcept", "override", "final", "mutable", "try", "constexpr", "volatile"}
# An operand begins after these words: neither a subscript nor a declared name.
OPERAND_NEXT = {
    "return",
    "co_return",
    "co_await",
    "co_yield",
    "case",
    "else",
    "do",
    "throw",
    "in",
    "and",
    "or",
    "not",
}


class Reader:
    """Splits a file into full expressions."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.expressions = []
        self.bare_conditions = []  # lines of conditions that wait where no variable is declared
        self.bodies = [Body()]

    def at(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def is_word(self, i):
        return 0 <= i < len(self.tokens) and self.tokens[i].kind == WORD

    def closing(self, i):
        """The index of the partner of the bracket at i."""
        depth, pair = 0, (self.at(i), PAIRS[self.at(i)])
        while i < len(self.tokens):
            depth += (self.at(i) == pair[0]) - (self.at(i) == pair[1])
            if depth == 0:
                return i
            i += 1
        return i

    def after_angles(self, i):
        """The index after template arguments that begin at i."""
        depth = 0
        while i < len(self.tokens):
            if self.at(i) == "(":
                i = self.closing(i)
            depth += (self.at(i) == "<") - (self.at(i) == ">")
            i += 1
            if depth == 0:
                return i
        return i

    def read(self):
        i = 0
        while i < len(self.tokens):
            i = self.statement(i)
        return self.expressions

    def block(self, i):
        """Reads from an opening brace to its closing one; gives the index after that."""
        i += 1
        while i < len(self.tokens) and self.at(i) != "}":
            i = self.statement(i)
        return i + 1

    def body(self, i):
        """Like block, for the body of a function or lambda."""
        self.bodies.append(Body())
        i = self.block(i)
        ended = self.bodies.pop()
        if not ended.declares:
            self.bare_conditions += ended.conditions
        return i

    def statement(self, i):
        text = self.at(i)
        if text == "{":
            return self.block(i)
        if text in (";", "}"):
            return i + 1
        if text in ("else", "do", "try"):
            return i + 1
        if text in HEADS:
            return self.head(i)
        if text == "template" and self.at(i + 1) == "<":
            return self.after_angles(i + 1)
        if text in ("public", "private", "protected", "default") and self.at(i + 1) == ":":
            return i + 2
        if text == "case":
            while i < len(self.tokens) and self.at(i) != ":":
                i += 1
            return i + 1
        if self.is_word(i) and self.at(i + 1) == ":":
            return i + 2
        if text in (
            "namespace",
            "struct",
            "class",
            "union",
            "enum",
            "inline",
            "extern",
            "typedef",
            "friend",
        ):
            after = self.scope(i)
            if after is not None:
                return after
        return self.expression(i, ";")

    def head(self, i):
        """if (...), for (...): each part is a full expression; the statement after it comes
        next."""
        i += 1
        while self.at(i) in ("constexpr", "co_await"):  # for co_await
            i += 1
        if self.at(i) != "(":
            return i
        end = self.closing(i)
        i += 1
        while i < end:
            count = len(self.expressions)
            i = self.expression(i, ";", end)
            for part in self.expressions[count:]:
                waits = [token.line for token in part if token.text in ("co_await", "co_yield")]
                self.bodies[-1].conditions += waits[:1]
        return end + 1

    def scope(self, i):
        """namespace x {...}, struct x : y {...}, enum x {...}, extern "C" {...}: reads its
        contents, gives the index after it; None if it is none of these."""
        words = []
        while i < len(self.tokens) and self.at(i) not in ("{", ";", "(", "=", ")"):
            if self.at(i) == "<":
                i = self.after_angles(i)
                continue
            if self.at(i) == "[" and self.at(i + 1) == "[":  # an attribute
                i = self.closing(i) + 1
                continue
            words.append(self.at(i))
            i += 1
        if self.at(i) != "{" or not {
            "namespace",
            "struct",
            "class",
            "union",
            "enum",
            "extern",
        } & set(words):
            return None
        if "enum" in words:
            return self.closing(i) + 1
        return self.block(i)

    def expression(self, i, stop, end=None):
        """One full expression or declaration, up to and with `stop`, a function's body, or
        `end`."""
        found, open_marks, arrow, initialisers = [], [], False, False
        begin, end = i, len(self.tokens) if end is None else end
        while i < end:
            token = self.tokens[i]
            text = token.text
            if not open_marks and text == stop:
                i += 1
                break
            if text == "[" and self.at(i + 1) == "[":  # an attribute
                i = self.closing(i) + 1
                continue
            if text == "[" and self.opens_lambda(i):
                i = self.closure(i, found)
                continue
            if text == "requires" and self.at(i + 1) in ("{", "("):
                i = self.requirement(i)
                continue
            if text == "{":
                body = self.opens_body(i, arrow, initialisers, open_marks)
                if body:
                    i = self.body(i)
                    break
                found.append(self.brace(i, begin, open_marks))
                open_marks.append("}")
                i += 1
                continue
            if text in ("(", "["):
                open_marks.append(PAIRS[text])
            elif open_marks and text == open_marks[-1]:
                open_marks.pop()
            elif text in ("}", ")", "]"):  # not ours: the enclosing block ends
                break
            elif (
                text == "->"
                and not open_marks
                and (self.at(i - 1) == ")" or self.at(i - 1) in BEFORE_BODY)
            ):
                arrow = True
            elif text == ":" and not open_marks and self.at(i - 1) in (")", "noexcept"):
                initialisers = "?" not in [other.text for other in found]
            found.append(token)
            i += 1
        if found:
            self.expressions.append(found)
            self.bodies[-1].declares |= declares(found)
        return max(i, begin + 1)

    def opens_lambda(self, i):
        before = self.at(i - 1)
        if self.is_word(i - 1):
            return before in OPERAND_NEXT
        if before in (")", "]", "&", "&&") and i >= 2:
            # auto& [a, b] and x[i][j], but also f() && [..]{}(): a declaration has auto before it.
            return before in ("&", "&&") and self.at(i - 2) != "auto"
        return self.tokens[i - 1].kind not in (TEXT, NUMBER) if i > 0 else True

    def closure(self, i, found):
        """A lambda at its [: appends its one token to `found`, gives the index after its body."""
        end = self.closing(i)
        captures, current, depth = [], [], 0
        for k in range(i + 1, end):
            depth += (self.at(k) in PAIRS) - (self.at(k) in PAIRS.values())
            if self.at(k) == "," and depth == 0:
                captures.append(current)
                current = []
            else:
                current.append(self.tokens[k])
        if current:
            captures.append(current)
        found.append(Lambda(captures, self.tokens[i].line))
        found.extend(token for capture in captures for token in capture if token.text == "co_await")
        i = end + 1
        if self.at(i) == "<":
            i = self.after_angles(i)
        if self.at(i) == "(":
            i = self.closing(i) + 1
        while i < len(self.tokens) and self.at(i) not in ("{", ";", ")"):
            i = self.closing(i) + 1 if self.at(i) in ("(", "[") else i + 1
        return self.body(i) if self.at(i) == "{" else i

    def requirement(self, i):
        i += 1
        if self.at(i) == "(":
            i = self.closing(i) + 1
        return self.closing(i) + 1 if self.at(i) == "{" else i

    def opens_body(self, i, arrow, initialisers, open_marks):
        if open_marks:
            return False
        before = self.at(i - 1)
        if initialisers:
            return before in (")", "}")
        return (
            before == ")"
            or before in BEFORE_BODY
            or arrow
            or (before in ("&", "&&") and self.at(i - 2) == ")")
        )

    def brace(self, i, begin, open_marks):
        """The text before the opening brace at i: a type, a declared name, or nothing."""
        k = i - 1
        if self.at(k) == ">":
            depth = 0
            while k > begin:
                depth += (self.at(k) == ">") - (self.at(k) == "<")
                k -= 1
                if depth == 0:
                    break
        if not self.is_word(k) or self.at(k) in OPERAND_NEXT:
            return Brace(self.tokens[i].line, "", False)
        first = k
        while first - 2 >= begin and self.at(first - 1) == "::" and self.is_word(first - 2):
            first -= 2
        before = self.at(first - 1) if first > begin else ""
        named = (
            not open_marks
            and first > begin
            and self.at(k + 1) == "{"
            and (
                (self.is_word(first - 1) and before not in OPERAND_NEXT)
                or before in (">", "&", "*", "&&")
            )
        )
        name = "".join(self.at(n) for n in range(first, i))
        return Brace(self.tokens[i].line, name, named)


NOT_A_TYPE = OPERAND_NEXT | set(
    "using typedef static_assert goto break continue delete new this static constexpr".split()
)


def declares(expression):
    """True if it begins with a type and a name. (A static or constexpr variable is not in a
    coroutine's frame and does not count.)"""
    words = [token.text for token in expression]
    kinds = [token.kind for token in expression]
    k = 0
    while k < len(words) and words[k] in ("const", "volatile", "struct", "typename"):
        k += 1
    if k >= len(words) or kinds[k] != WORD or words[k] in NOT_A_TYPE:
        return False
    while k < len(words) and (kinds[k] == WORD or words[k] == "::"):
        k += 1
        if k < len(words) and kinds[k - 1] == WORD and kinds[k] == WORD:
            break
    if k < len(words) and words[k] == "<":
        depth = 0
        while k < len(words):
            depth += (words[k] == "<") - (words[k] == ">")
            k += 1
            if depth == 0:
                break
    pointers = {"*", "&", "&&", "const", "::"}
    while k < len(words) and words[k] in pointers:
        k += 1
    if words[k : k + 1] == ["["]:
        return "auto" in words[:k]
    after = words[k + 1] if k + 1 < len(words) else ";"
    return k < len(words) and kinds[k] == WORD and after in ("=", "{", "(", "[", ";", ",", ":")
