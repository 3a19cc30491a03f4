# SPDX-License-Identifier: MIT
"""Finds locals of a task group's body that its children borrow, for lint_gcc12.py.

The locals of the body are destroyed when it returns or throws; only then the group waits for its
children. So no child may get a reference to such a local: std::ref, std::cref or &local as an
argument of `start`, or a closure there that captures it by reference. This reads tokens only, like
cpp_expressions.py: a body follows a parameter `task_group& name`, and a local is anything that
looks like the declaration of an object there.
"""

from cpp_expressions import PAIRS, WORD

WHAT = "a child borrows '{}', a local of the group's body, which ends first: declare it outside"
NO_TYPE = {"return", "co_return", "co_await", "co_yield", "throw", "new", "delete", "else", "goto"}
ENDS = {";", "{", "}"}


def partner(tokens, opening):
    """The index of the partner of the bracket at `opening`."""
    depth = 0
    for k in range(opening, len(tokens)):
        depth += (tokens[k].text in PAIRS) - (tokens[k].text in PAIRS.values())
        if depth == 0:
            return k
    return len(tokens)


def bodies(tokens):
    """(name of the group, index after its body's opening brace, index of the closing one)"""
    for k in range(len(tokens) - 3):
        if [token.text for token in tokens[k : k + 2]] != ["task_group", "&"]:
            continue
        opening = k + 3
        while opening < len(tokens) and tokens[opening].text not in ENDS:
            opening += 1
        if opening < len(tokens) and tokens[opening].text == "{" and tokens[k + 2].kind == WORD:
            yield tokens[k + 2].text, opening + 1, partner(tokens, opening)


def names_an_object(tokens, k):
    """True if the word at k is the name in a declaration `type name ...` of an object, no
    reference."""
    before, after = tokens[k - 1], tokens[k + 1].text
    typed = (before.kind == WORD and before.text not in NO_TYPE) or before.text in (">", "*")
    return tokens[k].kind == WORD and typed and after in ("=", "{", "(", ";", "[", ",", ":")


def locals_of(tokens, begin, end):
    """The names that are declared in a body, outside its lambdas and calls."""
    found, k = set(), begin
    while k < end:
        text = tokens[k].text
        if text == "(" and tokens[k - 1].text not in ("for", "if", "while", "switch"):
            k = partner(tokens, k)
        elif text == "[" and tokens[k - 1].text in ("auto", "const"):  # auto [a, b] = ...
            last = partner(tokens, k)
            found.update(token.text for token in tokens[k:last] if token.kind == WORD)
            k = last
        elif (
            text == "["
            and tokens[k - 1].kind != WORD
            and tokens[k - 1].text not in (")", "]", "&")
        ):
            while k < end and tokens[k].text not in ("{", ";", ","):  # a lambda's head
                k = partner(tokens, k) + 1 if tokens[k].text in ("(", "[") else k + 1
            k = partner(tokens, k) if tokens[k].text == "{" else k
        elif k > begin and names_an_object(tokens, k):
            found.add(text)
        k += 1
    return found


def borrowed(tokens, begin, end, names):
    """(line, name) of each local that is passed by reference in the arguments begin to end."""
    k = begin
    while k < end:
        token, following = tokens[k], tokens[k + 1 : k + 3]
        if token.text in ("ref", "cref") and following and following[0].text == "(":
            if following[1].text in names:
                yield token.line, following[1].text
        elif token.text == "&" and tokens[k - 1].text in ("(", ",") and following[0].text in names:
            if following[1].text in (",", ")"):
                yield token.line, following[0].text
        elif token.text == "[" and tokens[k - 1].text in ("(", ","):
            last = partner(tokens, k)
            yield from captured(tokens, k, last, end, names)
            k = last
        k += 1


def captured(tokens, begin, last, end, names):
    """Like passed, for the captures of a lambda, between begin and last."""
    words = [token.text for token in tokens[begin : last + 1]]
    for k in range(1, len(words) - 1):
        if words[k] != "&":
            continue
        if words[k + 1] in names:
            yield tokens[begin].line, words[k + 1]
        elif words[k + 2 : k + 3] == ["="] and words[k + 3] in names:  # [&alias = local]
            yield tokens[begin].line, words[k + 3]
        elif words[k + 1] in ("]", ","):  # [&]: every local that its body uses
            used = [token.text for token in tokens[last:end] if token.text in names]
            if used:
                yield tokens[begin].line, used[0]


def group_borrows(tokens):
    """Findings in a file, as (line, sentence)."""
    for group, begin, end in bodies(tokens):
        names = locals_of(tokens, begin, end)
        for k in range(begin, end - 3):
            if [token.text for token in tokens[k : k + 4]] == [group, ".", "start", "("]:
                for line, name in borrowed(tokens, k + 4, partner(tokens, k + 3), names):
                    yield line, WHAT.format(name)
