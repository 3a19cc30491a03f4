#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Finds source that g++ 12 miscompiles (docs/gcc12.md says why).

Inside a full expression that contains co_await or co_yield g++ 12.2 destroys some temporaries
twice. This looks there for
  - closures with an owning capture: anything but [], [&], [&x], [this] and [&x = y];
  - braced temporaries: type{...}, and {...} as an argument, except for types that are known to have
    a constructor, and types asserted to be trivially destructible, by a public header or in the
    same file, like all option structs;
  - ?: whose result may be a class, or that has a co_await in an operand;
  - braced lists with a co_await inside (rejected by g++, or worse).
It also looks for a condition with one of the two (if, while, do, for, switch) in a coroutine that
declares no variable anywhere: g++ 12.2 keeps the condition at the very beginning of the frame,
where the resume function's address must be.
It also finds locals of a task group's body that a child borrows (group_borrows.py): they end too
early with every compiler.
It reads tokens and does not know types, so it refuses doubtful code: name the object on a line of
its own and move it, or end the line with `// lint: safe` and the reason. A wrong refusal costs a
line, a wrong permission a double free.

usage: lint_gcc12.py [--root FOLDER] [FILE ...] | --self-test
Exit status 0 or 1; the last line is "N passed, N failed".
"""

import argparse
import os
import pathlib
import re
import sys

sys.dont_write_bytecode = True  # no __pycache__ in the checkout
from cpp_expressions import MARK, NUMBER, PAIRS, TEXT, WORD, Reader, tokens_of
from group_borrows import group_borrows

NUMBERS = """
    bool char int long short unsigned float double size_t ssize_t byte int8_t int16_t int32_t
    int64_t uint8_t uint16_t uint32_t uint64_t
    """.split()
# Types whose braces call a constructor; those that the public headers assert to be trivially
# destructible are added, and their fields.
SAFE_TYPES = set(NUMBERS) | set(
    """
    string string_view span vector pair tuple optional unique_ptr shared_ptr exception_ptr nullopt_t
    monostate error_code nanoseconds microseconds milliseconds seconds minutes hours duration
    time_point buffer_view const_buffer
    """.split()
)
SAFE_FIELDS = set()
TRIVIAL_ARRAY = set(NUMBERS) | {"string_view"}
FOLDERS = ("examples", "tests", "bench", "docs", "include", "runtime")
SKIPPED = ("tests/must_not_compile/",)  # wrong on purpose


def trivial_types(text):
    """(types, their fields) that a static_assert of this text says are trivially destructible."""
    types = re.findall(r"static_assert\(std::is_trivially_destructible_v<(\w+)>", text)
    pointer_to_function = r"^ +[\w:<>*]+ \(\*(\w+)\)\("
    fields = []
    for name in types:
        body = re.search(rf"^ *struct {name} \{{(.*?)^ *\}};", text, re.MULTILINE | re.DOTALL)
        field = r"^ +[\w:<>*]+ (\w+)(?:\{\}| = [^;\n]*)?;"
        fields += re.findall(field, body.group(1), re.MULTILINE) if body else []
        fields += re.findall(pointer_to_function, body.group(1), re.MULTILINE) if body else []
    return set(types), set(fields)


# -- errors in one expression ----------------------------------------------------------------------
def owns(capture):
    """True if this capture owns an object."""
    words = [token.text for token in capture]
    if not words or words == ["this"]:
        return False
    return words[0] != "&"


def inside(expression, opening):
    """(tokens between the bracket at `opening` and its partner, index of the partner)"""
    depth = 0
    for k in range(opening, len(expression)):
        text = expression[k].text
        if expression[k].kind in (MARK, "brace"):
            depth += (text in PAIRS) - (text in PAIRS.values())
        if depth == 0:
            return expression[opening + 1 : k], k
    return expression[opening + 1 :], len(expression)


def parts(content):
    """The elements of a braced list."""
    found, depth = [[]], 0
    for token in content:
        if token.kind in (MARK, "brace"):
            depth += (token.text in PAIRS) - (token.text in PAIRS.values())
        if token.text == "," and depth == 0:
            found.append([])
        else:
            found[-1].append(token)
    return [part for part in found if part]


def awaits(content):
    return any(token.text in ("co_await", "co_yield") for token in content)


def judge_brace(brace, content, yielded, own_types):
    elements = parts(content)
    designated = [part for part in elements if part[0].text == "." and len(part) > 1]
    if awaits(content) and (len(elements) > 1 or designated):
        return "a braced list with co_await inside: await first, on lines of their own"
    if brace.named:
        return None
    if brace.type:
        match = re.search(r"(\w+)(?:<(.*)>)?$", brace.type)
        name, arguments = (match.group(1), match.group(2) or "") if match else (brace.type, "")
        if name == "array":
            element = re.split(r",", arguments)[0].split("::")[-1] if arguments else ""
            numbers = not arguments and all(
                len(part) == 1 and part[0].kind == NUMBER for part in elements
            )
            return (
                None
                if element in TRIVIAL_ARRAY or numbers
                else f"a temporary {brace.type}{{...}}: name it first"
            )
        if name in SAFE_TYPES or name in own_types:
            return None
        return (
            f"a temporary {brace.type}{{...}}: name it first, or static_assert beside it that it "
            "is trivially destructible"
        )
    if not elements and not yielded:
        return None
    if designated and len(designated) == len(elements):
        unknown = [part[1].text for part in elements if part[1].text not in SAFE_FIELDS]
        if not unknown:
            return None
        return f"a braced argument with .{unknown[0]}, of no struct asserted trivially destructible"
    kinds = [part[0].kind if len(part) == 1 else "" for part in elements]
    if kinds in ([TEXT, NUMBER], [TEXT, WORD]):
        return None  # {"127.0.0.1", 7007}: an endpoint, which has a constructor
    if kinds == [NUMBER, NUMBER]:
        return None  # {1s, 5min}: a pair of durations, which owns nothing
    return "a braced temporary {...}: g++ 12 destroys an aggregate twice; name it first"


SIMPLE_MARKS = {
    ".",
    "->",
    "::",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "==",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "&&",
    "||",
    "&",
    "|",
    "~",
}


def kind_of_operand(operand):
    """number, text, path (an lvalue), or class for everything else."""
    operand = (
        [token for token in operand if token.text not in ("(", ")")]
        if not calls(operand)
        else operand
    )
    if len(operand) == 1 and operand[0].kind == TEXT:
        return (
            "text"
            if '"' in operand[0].text and not operand[0].text.endswith(("s", "sv"))
            else "number"
        )
    numbers = any(
        token.kind == NUMBER or token.text in ("true", "false", "nullptr", "sizeof")
        for token in operand
    )
    for token in operand:
        if token.kind in (TEXT, "lambda", "brace") or (
            token.kind == MARK and token.text not in SIMPLE_MARKS
        ):
            return "class"
    return "number" if numbers else "path"


def calls(operand):
    return any(
        operand[k].text == "("
        and k > 0
        and (operand[k - 1].kind == WORD or operand[k - 1].text in (")", ">", "]"))
        for k in range(len(operand))
    )


def judge_conditional(expression, question):
    """The ?: whose ? is at `question`, to the end of the brackets around it."""
    depth, nested, colon, k = 0, 0, None, question + 1
    while k < len(expression):
        token = expression[k]
        if token.kind in (MARK, "brace"):
            depth += (token.text in PAIRS) - (token.text in PAIRS.values())
            if depth < 0 or (depth == 0 and colon is not None and token.text in (",", ";")):
                break
            if depth == 0 and token.text == "?":
                nested += 1
            if depth == 0 and token.text == ":" and nested >= 0:
                if nested == 0 and colon is None:
                    colon = k
                nested -= nested > 0
        k += 1
    if colon is None:
        return None
    operands = expression[question + 1 : colon], expression[colon + 1 : k]
    if any(awaits(operand) for operand in operands):
        return "a co_await in an operand of ?: (use if)"
    kinds = sorted(kind_of_operand(operand) for operand in operands)
    if kinds in (["number", "number"], ["number", "path"], ["path", "path"], ["text", "text"]):
        return None
    return "?: whose result may be a class: compute it on a line of its own"


def judge(expression, own_types):
    """Findings in one full expression, as (line, sentence)."""
    real = [
        token
        for k, token in enumerate(expression)
        if token.text in ("co_await", "co_yield")
        and not (k > 0 and expression[k - 1].text == "operator")
    ]
    if not real:
        return
    for k, token in enumerate(expression):
        if token.kind == "lambda":
            for capture in token.captures:
                if owns(capture):
                    yield token.line, (
                        f"a closure that owns [{' '.join(word.text for word in capture)}]: pass "
                        "callable and arguments, or name it first and move it"
                    )
                    break
        elif token.kind == "brace":
            content, _ = inside(expression, k)
            what = judge_brace(
                token, content, k > 0 and expression[k - 1].text == "co_yield", own_types
            )
            if what:
                yield token.line, what
        elif token.text == "?" and token.kind == MARK:
            what = judge_conditional(expression, k)
            if what:
                yield token.line, what


def lint(text):
    """Findings in C++ text, as (line, sentence), except on lines that say `lint: safe`."""
    tokens, safe = tokens_of(text)
    own_types, _ = trivial_types(text)
    reader = Reader(tokens)
    findings = [found for expression in reader.read() for found in judge(expression, own_types)]
    what = "a condition with co_await or co_yield in a coroutine without a variable: declare one"
    findings += [(line, what) for line in reader.bare_conditions]
    findings += group_borrows(tokens)
    return sorted(found for found in findings if found[0] not in safe)


def lint_file(path):
    text = path.read_text()
    if path.suffix != ".md":
        yield from lint(text)
        return
    block = re.compile(r"^```cpp\b(?! \(bad\))[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for match in block.finditer(text):
        first = text.count("\n", 0, match.start(1))
        for line, what in lint(match.group(1)):
            yield first + line, what


def self_test(folder):
    """Checks that exactly the lines of lint_cases that end with `// bad` are found."""
    passed = failed = 0
    for path in sorted(folder.glob("*.cpp")):
        text = path.read_text()
        found = {line for line, _ in lint(text)}
        for number, line in enumerate(text.split("\n"), 1):
            bad = line.rstrip().endswith("// bad")
            if bad == (number in found):
                passed += bool(line.strip()) and not line.lstrip().startswith("//")
                continue
            failed += 1
            print(
                f"{path}:{number}: {'not found' if bad else 'found without cause'}: {line.strip()}"
            )
    if passed == 0:
        failed += 1
        print(f"no cases in {folder}")
    print(f"{passed} passed, {failed} failed")
    return failed


def main():
    arguments = argparse.ArgumentParser(
        description="looks for what g++ 12 miscompiles, see the head of this file"
    )
    arguments.add_argument(
        "--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent
    )
    arguments.add_argument("--self-test", action="store_true")
    arguments.add_argument("files", nargs="*", type=pathlib.Path)
    options = arguments.parse_args()
    root = options.root
    for path in (root / "include").rglob("*.hpp"):
        types, fields = trivial_types(path.read_text())
        SAFE_TYPES.update(types)
        SAFE_FIELDS.update(fields)
    if options.self_test:
        return 1 if self_test(root / "tests/lint_cases") else 0

    files = options.files or sorted(
        [
            path
            for folder in FOLDERS
            for path in (root / folder).rglob("*")
            if path.suffix in (".cpp", ".hpp", ".md")
            and not str(path.relative_to(root)).startswith(SKIPPED + ("tests/lint_cases/",))
        ]
        + [path for path in [root / "README.md"] if path.exists()]
    )
    passed = failed = 0
    for path in files:
        findings = list(lint_file(path))
        passed, failed = passed + (not findings), failed + bool(findings)
        for line, what in findings:
            print(f"{os.path.relpath(path)}:{line}: {what}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
