#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layers, as a test: a file includes its own layer and lower ones, nothing else.

A layer is a folder of runtime/, and the order is that of the subdir() lines in runtime/meson.build;
include/rondo/detail/ and tests/ have the same folders. A public header, include/rondo/NAME.hpp,
belongs to the folder of NAME.cpp in runtime/, else to that of test_NAME.cpp in tests/, else to the
highest layer that it includes. Beside the layers, this checks what can be seen from the text alone:
  - neither of kernel and coroutine includes the other, and no back end of the kernel includes
    another; only the loop (which makes one) and testing name them;
  - <liburing.h> and <linux/io_uring.h> occur in runtime/kernel/ring/setup.cpp only;
  - layers above the loop use its public face: no header of runtime/kernel/ or runtime/loop/;
  - only the kernels and the few files named below close a descriptor with close(2) (a descriptor
    counts its operations, and the last completion closes the number);
  - layers tls and http, a library of their own, and redis, another one, include no private header
    of librondo; and http and redis do not know each other;
  - signal handlers are installed in one file;
  - no cycle of includes;
  - no source lies in runtime/ itself, every source is listed in the meson.build of its folder, and
    the version is one;
  - every file that a comment or a page names exists.

usage: check_layers.py [--root FOLDER] | --self-test
Exit status 0 or 1; the last line is "N passed, N failed".
"""

import argparse
import pathlib
import re
import subprocess
import sys

LIBURING_IN = "runtime/kernel/ring/setup.cpp"
MAY_CLOSE = (
    "runtime/kernel/",
    "runtime/multiprocess/pool/worker.cpp",
)  # beginnings of paths; in a worker process there is no loop
MAY_HANDLE_SIGNALS = (
    "runtime/loop/run.cpp",
    "runtime/multiprocess/managed/server.cpp",
    "runtime/multiprocess/pool/worker.cpp",
)  # the last two are processes of their own
PROGRAMS = "rondo"  # rondo/rondo.hpp: everything, for programs; above all layers
# Headers of these folders are machinery: layers above the loop keep away from them.
MACHINERY = ("runtime/kernel/", "runtime/loop/")
MAY_USE_MACHINERY = ("kernel", "loop", "testing")
MAY_NAME_A_BACK_END = ("loop", "testing")
NAMES_A_BACK_END = (
    "runtime/kernel/kernel_choice.cpp",
    "runtime/kernel/probe.cpp",
)  # make one, and report what the ring can do
# Layers of librondo-http and librondo-redis, which stand on the public headers of librondo.
UPPER_LIBRARIES = ("tls", "http", "redis")
STRANGERS = ({"http", "redis"},)
OWN_HEADERS = ("http", "redis")  # their public headers lie in include/rondo/http/ ...

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
CLOSE = re.compile(
    r"(?:(?<![\w:>])::\s*close\s*\("
    r"|(?:^|[;{}()=!?,]|(?<!:):(?!:)|\breturn\b|\belse\b)\s*\bclose\s*\(\s*[^)\s])",
    re.MULTILINE,
)
HANDLER = re.compile(r"\b(?:sigaction\s*\(\s*(?!SIGINT\s*,\s*nullptr)|signal\s*\(\s*SIG)")


def strip(text):
    """Without comments and the insides of strings; line numbers and #include lines stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)

    def replacement(match):
        word = match.group(0)
        if word.startswith("/"):
            return "\n" * word.count("\n") + " "
        line_start = text.rfind("\n", 0, match.start()) + 1
        return word if text[line_start : match.start()].lstrip().startswith("#") else '""'

    return pattern.sub(replacement, text)


class layers:
    """The layer of each file, and the order of the layers."""

    def __init__(self, order, files, tests):
        self.order, self.files = order, files
        self.rank = {name: number for number, name in enumerate(order)}
        self.known = {}
        folders = {}
        for path in tests:
            name = path.rsplit("/", 1)[1]
            if name.startswith("test_") and path.split("/")[1] not in OWN_HEADERS:
                folders[name[len("test_") : -len(".cpp")]] = path.split("/")[1]
        for path in files:
            if path.split("/")[1] in OWN_HEADERS:
                continue
            if path.startswith("runtime/") and path.endswith(".cpp") and not back_end_of(path):
                folders[path.rsplit("/", 1)[1][: -len(".cpp")]] = path.split("/")[1]
        self.folder_of_name = folders

    def of(self, path):
        """The layer of a file, or None."""
        if path not in self.known:
            self.known[path] = None  # for a cycle, which is told elsewhere
            self.known[path] = self.find(path)
        return self.known[path]

    def find(self, path):
        parts = path.split("/")
        if parts[0] == "runtime":
            return parts[1] if len(parts) > 2 and parts[1] in self.rank else None
        name = "/".join(parts[2:])[: -len(".hpp")]
        if name == PROGRAMS:
            return PROGRAMS
        if parts[2] == "detail":
            return parts[3] if len(parts) > 4 and parts[3] in self.rank else None
        if parts[2] in self.rank:  # sync/
            return parts[2]
        folder = self.folder_of_name.get(name)
        return folder if folder in self.rank else self.highest_included(path)

    def highest_included(self, path):
        found = [self.order[0]]
        for match in INCLUDE.finditer(strip(self.files.get(path, ""))):
            target = target_of(path, *match.groups(), self.files)
            layer = self.of(target) if target in self.files else None
            if layer in self.rank:
                found.append(layer)
        return max(found, key=self.rank.get)

    def may_include(self, own, theirs):
        if PROGRAMS in (own, theirs):
            return own == PROGRAMS
        if {own, theirs} == {"coroutine", "kernel"}:
            return False
        return self.rank[theirs] <= self.rank[own]


def back_end_of(path):
    """runtime/kernel/ring/ring.hpp: "ring"."""
    parts = path.split("/")
    return parts[2] if path.startswith("runtime/kernel/") and len(parts) > 3 else None


def target_of(path, quote, name, files):
    """The file of ours that an include means, or None if it is of another library."""
    if name.startswith("rondo/"):
        return "include/" + name
    if quote == '"':
        return f"runtime/{name}"
    return None


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_file(path, text, table):
    """Findings in one file, as (line, sentence)."""
    text = strip(text)
    own = table.of(path)
    if own is None:
        yield 1, "is in no folder of a layer: see runtime/meson.build"
        return
    for match in INCLUDE.finditer(text):
        line = line_of(text, match.start())
        quote, name = match.groups()
        if name in ("liburing.h", "linux/io_uring.h") or name.startswith("liburing/"):
            if path != LIBURING_IN:
                yield line, f"includes <{name}>, which only {LIBURING_IN} may see"
            continue
        target = target_of(path, quote, name, table.files)
        if target is None:
            continue
        if target not in table.files:
            yield line, f"includes {name}, which is not there"
            continue
        if path.startswith("include/") and target.startswith("runtime/"):
            yield line, f"a public header includes {target}"
        theirs = table.of(target)
        if theirs is not None and not table.may_include(own, theirs):
            yield line, f"layer {own} includes {target} of layer {theirs}"
        if target.startswith(MACHINERY) and own not in MAY_USE_MACHINERY:
            yield line, f"layer {own} includes {target}: use the public face of the loop"
        if {own, theirs} in STRANGERS:
            yield line, f"layer {own} includes {target}: it does not know layer {theirs}"
        if own in UPPER_LIBRARIES and theirs not in UPPER_LIBRARIES:
            if target.startswith(("runtime/", "include/rondo/detail/")):
                yield line, f"includes {target}: librondo-{own} uses public headers of librondo"
        their_end, own_end = back_end_of(target), back_end_of(path)
        if their_end is not None and own not in MAY_NAME_A_BACK_END and their_end != own_end:
            if not (own_end is None and path in NAMES_A_BACK_END):
                yield line, f"includes {target}: only the loop includes back ends of the kernel"
    if not path.startswith(MAY_CLOSE):
        for match in CLOSE.finditer(text):
            yield line_of(
                text, match.end()
            ), "calls close(2): descriptors are closed by their last completion (law 4)"
    if path not in MAY_HANDLE_SIGNALS:
        for match in HANDLER.finditer(text):
            yield line_of(
                text, match.start()
            ), f"installs a signal handler: only {MAY_HANDLE_SIGNALS[0]} does"


def cycles(files):
    """The cycles of includes, as lists of paths. An include after a file's own code makes no cycle:
    it is the second half of the same header, in a file of its own."""
    edges = {}
    for path, text in files.items():
        needs = strip(text).split("\nnamespace ")[0]
        found = (target_of(path, *match.groups(), files) for match in INCLUDE.finditer(needs))
        edges[path] = [target for target in found if target in files]
    done, trail = set(), []

    def visit(path):
        if path in trail:
            return [trail[trail.index(path) :] + [path]]
        if path in done:
            return []
        trail.append(path)
        found = [cycle for target in edges[path] for cycle in visit(target)]
        trail.pop()
        done.add(path)
        return found

    return [cycle for path in sorted(edges) for cycle in visit(path)]


def check_sources(table):
    """One (name, findings) for each file, and one for the cycles."""
    for path in sorted(table.files):
        yield path, [
            f"{path}:{line}: {what}" for line, what in check_file(path, table.files[path], table)
        ]
    yield "no cycle of includes", [" -> ".join(cycle) for cycle in cycles(table.files)]


# -- files that comments and pages name ------------------------------------------------------------
WITH_FOLDER = re.compile(
    r"(?<![\w/.<\"-])((?:runtime|include|tests|docs|scripts|bench|examples)/"
    r"[\w/.-]*\w\.(?:[ch]pp|md|py|build))\b"
)
ALONE = re.compile(r"(?<![\w/.<\"-])(\w+\.(?:[ch]pp))\b(?![\"\w])")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def unknown_names(path, text, paths):
    """The missing files that a text names, as (line, name). In code, only comments are read."""
    names = {name.rsplit("/", 1)[-1] for name in paths}
    code = path.endswith((".cpp", ".hpp"))
    for piece in COMMENT.finditer(text) if code else [re.match(r".*", text, re.DOTALL)]:
        words = piece.group(0)
        for match in WITH_FOLDER.finditer(words):
            if match.group(1) not in paths:
                yield line_of(text, piece.start() + match.start()), match.group(1)
        for match in ALONE.finditer(words) if code else ():
            if match.group(1) not in names:
                yield line_of(text, piece.start() + match.start()), match.group(1)


def check_names(root):
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True
    )
    paths = {path for path in listing.stdout.split("\n") if path and (root / path).exists()}
    if not paths:  # no checkout
        paths = {str(path.relative_to(root)) for path in root.rglob("*.*") if path.is_file()}
    findings = []
    for path in sorted(paths):
        if not path.endswith((".cpp", ".hpp", ".md", "meson.build")) or path == "CHANGELOG.md":
            continue
        for line, name in unknown_names(path, (root / path).read_text(), paths):
            findings.append(f"{path}:{line}: names {name}, which is not there")
    yield "files that comments and pages name exist", findings


# -- the lists of the build ------------------------------------------------------------------------
def listed(build_file, name):
    """The words of one list in a meson.build, or the keys of one dictionary."""
    match = re.search(
        rf"^{name} = (?:files\(|\[|\{{)(.*?)^[)\]}}]", build_file, re.MULTILINE | re.DOTALL
    )
    return (
        set(re.findall(r"'([^']+)'(?:: *'[^']+')?", re.sub(r"#.*", "", match.group(1))))
        if match
        else set()
    )


def check_lists(root):
    """One (name, findings) for each list of a meson.build that names the files of a folder."""
    text = {
        folder: (root / folder / "meson.build").read_text()
        for folder in (".", "tests", "examples", "bench")
    }

    def differ(title, have, want, where):
        missing = [
            f"{where}: '{name}' is on disk but not in the list" for name in sorted(want - have)
        ]
        return title, missing + [
            f"{where}: '{name}' is listed but not on disk" for name in sorted(have - want)
        ]

    def names(folder, pattern):
        return {path.name[: -len(".cpp")] for path in (root / folder).glob(pattern)}

    misplaced = [str(path) for path in (root / "runtime").glob("*.[ch]pp")]
    yield "no source in runtime/ itself", misplaced
    for top, pattern in (("runtime", "*.cpp"), ("tests", "test_*.cpp")):
        for folder in sorted({path.parent for path in (root / top).rglob(pattern)}):
            where = str(folder.relative_to(root))
            if where in ("tests/examples", "tests/programs"):
                continue
            build = folder / "meson.build"
            listed_names = set(re.findall(r"^  '([\w.]+)',", build.read_text(), re.MULTILINE)) if (
                build.exists()) else set()
            on_disk = {path.name for path in folder.glob(pattern)}
            if top == "tests":
                on_disk = {name[len("test_") : -len(".cpp")] for name in on_disk}
            yield differ(f"{where} is listed", listed_names, on_disk, f"{where}/meson.build")
    yield differ(
        "tests of examples are listed",
        listed(text["tests"], "example_test_names"),
        {name[len("test_") :] for name in names("tests/examples", "test_*.cpp")},
        "tests/meson.build example_test_names",
    )
    programs = {name for name in names("tests/programs", "*.cpp") if not name.endswith("_main")}
    yield differ(
        "programs are listed",
        listed(text["tests"], "program_names"),
        programs,
        "tests/meson.build program_names",
    )
    yield differ(
        "examples are listed",
        listed(text["examples"], "example_names"),
        names("examples", "*.cpp"),
        "examples/meson.build example_names",
    )
    for folder in ("downloader",):
        yield differ(
            f"sources of {folder} are listed",
            listed(text["examples"], f"{folder}_sources"),
            {f"{name}.cpp" for name in names(f"examples/{folder}", "*.cpp")},
            f"examples/meson.build {folder}_sources",
        )
    yield differ(
        "benchmarks are listed",
        listed(text["bench"], "bench_names"),
        names("bench", "*.cpp"),
        "bench/meson.build bench_names",
    )
    named = set(re.findall(r"'peers/(\w+)\.cpp'", text["bench"]))
    yield differ("peers are listed", named, names("bench/peers", "*.cpp"), "bench/meson.build")


def check_version(root):
    built = re.search(
        r"^\s*version: '([^']+)'", (root / "meson.build").read_text(), re.MULTILINE
    ).group(1)
    said = re.search(
        r'RONDO_VERSION "([^"]+)"', (root / "include/rondo/config.hpp").read_text()
    ).group(1)
    yield "one version", [] if built == said else [
        f"meson.build says {built}, config.hpp says {said}"
    ]


# -- the self-test ---------------------------------------------------------------------------------
GOOD, BAD = True, False
SELF_TEST = [
    (GOOD, "include/rondo/task.hpp", "#include <rondo/error.hpp>\n#include <coroutine>\n"),
    (BAD, "include/rondo/task.hpp", "#include <rondo/loop.hpp>\n"),
    (BAD, "include/rondo/error.hpp", '#  include "rondo/task.hpp"\n'),
    (
        GOOD,
        "include/rondo/error.hpp",
        "// #include <rondo/loop.hpp>\n/* #include <rondo/net.hpp> */\n",
    ),
    (BAD, "include/rondo/loop.hpp", "#include <liburing.h>\n"),
    (BAD, "include/rondo/loop.hpp", "#include <linux/io_uring.h>\n"),
    (BAD, "runtime/loop/loop.cpp", "#include <liburing.h>\n"),
    (BAD, "runtime/kernel/ring/ring.cpp", "#include <liburing.h>\n"),
    (GOOD, LIBURING_IN, '#include <liburing.h>\n#include "kernel/kernel.hpp"\n'),
    (BAD, "include/rondo/loop.hpp", '#include "kernel/kernel.hpp"\n'),
    (BAD, "runtime/compose/gather.cpp", '#include "kernel/kernel.hpp"\n'),
    (BAD, "runtime/compose/gather.cpp", '#include "loop/loop_core.hpp"\n'),
    (GOOD, "runtime/http/client.cpp", "#include <rondo/loop.hpp>\n"),
    (GOOD, "runtime/http/client.cpp", '#include "http/client.hpp"\n'),
    (BAD, "runtime/http/client.cpp", '#include "kernel/kernel.hpp"\n'),
    (BAD, "runtime/http/client.cpp", "#include <rondo/detail/base/deep.hpp>\n"),
    (BAD, "runtime/redis/redis.cpp", "#include <rondo/detail/base/deep.hpp>\n"),
    (BAD, "runtime/redis/redis.cpp", '#include "http/client.hpp"\n'),
    (GOOD, "runtime/redis/redis.cpp", "#include <rondo/loop.hpp>\n"),
    (GOOD, "runtime/loop/loop.cpp", '#include "kernel/kernel.hpp"\n#include <rondo/loop.hpp>\n'),
    (GOOD, "runtime/testing/testing.cpp", '#include "kernel/simulator/simulator.hpp"\n'),
    (GOOD, "runtime/loop/loop.cpp", '#include "kernel/ring/ring.hpp"\n'),
    (BAD, "runtime/io/net.cpp", '#include "kernel/ring/ring.hpp"\n'),
    (GOOD, "runtime/kernel/ring/ring.cpp", '#include "kernel/ring/ring.hpp"\n'),
    (BAD, "runtime/kernel/simulator/core.cpp", '#include "kernel/ring/ring.hpp"\n'),
    (BAD, "runtime/kernel/system.cpp", '#include "kernel/ring/ring.hpp"\n'),
    (BAD, "runtime/kernel/kernel.hpp", "#include <rondo/task.hpp>\n"),
    (BAD, "runtime/kernel/kernel.hpp", "#include <rondo/loop.hpp>\n"),
    (BAD, "runtime/coroutine/task.cpp", '#include "kernel/kernel.hpp"\n'),
    (GOOD, "runtime/kernel/kernel.hpp", "#include <rondo/error.hpp>\n"),
    (BAD, "runtime/kernel/kernel.hpp", '#include "kernel.hpp"\n'),
    (BAD, "runtime/surprise.cpp", "\n"),
    (BAD, "runtime/surprise/surprise.cpp", "\n"),
    (BAD, "include/rondo/detail/surprise.hpp", "\n"),
    (GOOD, "include/rondo/detail/sync/surprise.hpp", "#include <rondo/loop.hpp>\n"),
    (BAD, "include/rondo/detail/base/surprise.hpp", "#include <rondo/loop.hpp>\n"),
    (BAD, "include/rondo/detail/base/surprise.hpp", "#include <rondo/only_header.hpp>\n"),
    (GOOD, "include/rondo/detail/loop/surprise.hpp", "#include <rondo/only_header.hpp>\n"),
    (BAD, "include/rondo/tested.hpp", "#include <rondo/net.hpp>\n"),
    (BAD, "include/rondo/net.hpp", "#include <rondo/nothing.hpp>\n"),
    (BAD, "runtime/io/net.cpp", "void f(int fd) { ::close(fd); }\n"),
    (BAD, "runtime/io/net.cpp", "void f(int fd) {\n    close(fd);\n}\n"),
    (BAD, "runtime/io/net.cpp", "void f(int fd) { if (fd > 0) close(fd); }\n"),
    (
        GOOD,
        "runtime/io/net.cpp",
        "struct s { int close(int fd); void close(); }; int g(s& x) { return x.close(3); }\n",
    ),
    (GOOD, "runtime/io/net.cpp", 'void f() { say("close(3)"); }  // ::close(fd)\n'),
    (GOOD, "runtime/io/net.cpp", "operation<> tcp_stream::close() { return net::close(fd_); }\n"),
    (GOOD, "runtime/kernel/system.cpp", "int real::close(int fd) { return ::close(fd); }\n"),
    (BAD, "runtime/io/net.cpp", "void f() { ::sigaction(SIGPIPE, &action, nullptr); }\n"),
    (BAD, "runtime/io/net.cpp", "void f() { std::signal(SIGINT, handler); }\n"),
    (GOOD, "runtime/loop/run.cpp", "void f() { ::sigaction(SIGINT, &action, &before); }\n"),
]
SELF_TEST_ORDER = "base coroutine kernel loop compose sync io http redis testing".split()
SELF_TEST_FILES = {
    "runtime/base/error.cpp": "",
    "runtime/coroutine/task.cpp": "",
    "runtime/kernel/kernel.hpp": "",
    "runtime/kernel/ring/ring.hpp": "",
    "runtime/kernel/simulator/simulator.hpp": "",
    "runtime/loop/loop.cpp": "",
    "runtime/loop/loop_core.hpp": "",
    "runtime/io/net.cpp": "",
    "runtime/http/client.hpp": "",
    "runtime/http/error.cpp": "",
    "include/rondo/error.hpp": "",
    "include/rondo/task.hpp": "",
    "include/rondo/loop.hpp": "",
    "include/rondo/net.hpp": "",
    "include/rondo/detail/base/deep.hpp": "",
    "include/rondo/only_header.hpp": "#include <rondo/loop.hpp>\n",
}
SELF_TEST_NAMES = [
    (GOOD, "runtime/io/net.cpp", "// See runtime/loop/loop.cpp and loop.hpp.\n"),
    (BAD, "runtime/io/net.cpp", "// See runtime/loop.cpp.\n"),
    (BAD, "runtime/io/net.cpp", "// See sim_net.cpp.\n"),
    (GOOD, "runtime/io/net.cpp", 'auto name = "sim_net.cpp";  // <liburing.hpp>\n'),
    (BAD, "docs/a.md", "It is in [here](runtime/gone.cpp).\n"),
    (GOOD, "docs/a.md", "It is in `include/rondo/net.hpp`, yours in my_server.cpp.\n"),
]


def self_test():
    failed = 0
    for number, (good, path, text) in enumerate(SELF_TEST):
        files = dict(SELF_TEST_FILES)
        files[path] = text
        table = layers(SELF_TEST_ORDER, files, ["tests/compose/test_tested.cpp"])
        found = list(check_file(path, text, table))
        if bool(found) == good:
            failed += 1
            print(
                f"self-test {number}: {path}: {text!r}: "
                f"{'nothing' if good else 'something'} was to be found, not {found}"
            )
    for number, (good, path, text) in enumerate(SELF_TEST_NAMES):
        found = list(unknown_names(path, text, set(SELF_TEST_FILES)))
        if bool(found) == good:
            failed += 1
            print(f"self-test of names {number}: {text!r}: found {found}")
    ring = {
        "include/rondo/task.hpp": "#include <rondo/cancel.hpp>\n",
        "include/rondo/cancel.hpp": "#include <rondo/task.hpp>\n",
    }
    if not cycles(ring) or cycles(
        {"include/rondo/task.hpp": "#include <rondo/cancel.hpp>\n", "include/rondo/cancel.hpp": ""}
    ):
        failed += 1
        print("self-test: a cycle is not found, or one is found where there is none")
    print(f"{len(SELF_TEST) + len(SELF_TEST_NAMES) + 1 - failed} passed, {failed} failed")
    return failed


def main():
    arguments = argparse.ArgumentParser(description="checks the layers, see the head of this file")
    arguments.add_argument(
        "--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent
    )
    arguments.add_argument("--self-test", action="store_true")
    options = arguments.parse_args()
    if options.self_test:
        return 1 if self_test() else 0

    root = options.root
    files = {
        str(path.relative_to(root)): path.read_text()
        for folder in ("include/rondo", "runtime")
        for path in sorted((root / folder).rglob("*.[hc]pp"))
    }
    build = (root / "runtime/meson.build").read_text()
    order = re.findall(r"^subdir\('(\w+)'\)", build, re.MULTILINE)
    tests = [str(path.relative_to(root)) for path in (root / "tests").rglob("test_*.cpp")]
    table = layers(order, files, tests)
    passed = failed = 0
    for check in (check_sources(table), check_lists(root), check_version(root), check_names(root)):
        for name, findings in check:
            passed, failed = passed + (not findings), failed + bool(findings)
            for finding in findings:
                print(finding)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
