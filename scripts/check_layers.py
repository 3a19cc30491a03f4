#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layers, as a test: a file includes its own layer and lower ones, nothing else.

The table below is the one of docs/architecture.md. A header that is not in it is an error too:
whoever adds one decides where it stands. Beside the layers, this checks what can be seen from the
text alone:
  - <liburing.h> and <linux/io_uring.h> occur in runtime/kernel/ring/setup.cpp only;
  - layers 3 to 9 use the public face of layer 2: no header of its machinery in runtime/;
  - nobody closes a descriptor with close(2) but the kernels and the few named below (a descriptor
    counts its operations, and the last completion closes the number);
  - signal handlers are installed in one file;
  - no cycle of includes;
  - every source is listed in the meson.build of its folder, and the version is one.

usage: check_layers.py [--root FOLDER] | --self-test
Exit status 0 or 1; the last line is "N passed, N failed".
"""

import argparse
import pathlib
import re
import sys

# -- the table -------------------------------------------------------------------------------------
LAYERS = {
    0: """config error buffer serialize cereal detail/assert detail/entry detail/frame_pool detail/function
          detail/gcc12 detail/intrusive detail/location detail/outcome detail/read_buffer
          detail/timer_node""",
    1: """task cancel resumer detail/shared_core detail/foreign detail/guarded
          detail/wrong_calls""",
    2: "operation loop wait_queue future probe run readiness detail/descriptor detail/buffer_pool",
    3: """sleep timer gather wait as_completed race retry task_group task_local generator
          async_iteration detail/children detail/yield""",
    4: """sync sync/guard sync/mutex sync/condition sync/event sync/semaphore sync/barrier sync/rwlock
          sync/once sync/watch sync/broadcast queue merge
          detail/queue_core detail/queue_storage detail/queue_awaitable""",
    5: """executor thread thread_future thread_wait thread_pool from_threads thread_sync bridge on
          detail/thread_core detail/kept_call detail/pool_job detail/pool_core detail/pool_map detail/pool_window detail/lane""",
    6: """net udp pipe unix listener endpoint serve dns stream buffered split memory_stream copy view file file_system directory_watch process signal
          detail/connect detail/stream_io detail/reading_ahead""",
    7: "process_pool loop_pool shared_memory shared_sync ipc_channel ipc_queue detail/process_job detail/shared_signal",
    8: "http tls",
    9: "testing",
    10: "rondo",  # everything, for programs
}
LAYER_OF_HEADER = {name: layer for layer, names in LAYERS.items() for name in names.split()}
# What is not called as its header is. Everything else in runtime/ has the layer of the header of
# its name. `foreign` is declared in layer 1, since a task must know it, and made of layer 2.
RUNTIME = {
    0: "poison duration_text",
    1: "report trampoline",
    2: """kernel ring mapped_ring simulator system timers inbox identity descriptor
          descriptor_record describe embed leave foreign""",
    5: "own_thread pool_threads pool_core",
    6: "resolver command file_open process_state file_status socket_calls stream_turn message_rights",
    7: "process_child process_dispatch process_errors process_frame process_manager process_worker function_address",
    9: "testing_sweep",
}
LAYER_OF_RUNTIME = {name: layer for layer, names in RUNTIME.items() for name in names.split()}
LAYER_OF_RUNTIME_PREFIX = {"ring_": 2, "system_": 2, "sim_": 2, "loop_": 2, "operation_": 2, "sync_": 4}
# The headers of runtime/ that belong to layer 2 are machinery, not face: layers 3 and up keep away
# from them, but for testing, which chooses the kernel.
INNARDS_ALLOWED_FROM = 9

MAY_SEE_IO_URING = ("runtime/kernel/ring/setup.cpp",)
MAY_CLOSE = (
    "runtime/kernel/ring/setup.cpp",
    "runtime/ring_",
    "runtime/kernel/system.hpp",
    "runtime/kernel/system.cpp",
    "runtime/system_",
    "runtime/kernel/probe.cpp",
    "runtime/sim_",
    "runtime/multiprocess/pool/worker.cpp",
)  # beginnings of paths; the model closes no real descriptor, in a worker process there is no loop
MAY_HANDLE_SIGNALS = ("runtime/loop/run.cpp", "runtime/multiprocess/pool/worker.cpp")

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


def layer_of(path):
    """The layer of a file given by its path below the root, or None."""
    stem = path.rsplit(".", 1)[0]
    if stem.startswith("include/rondo/"):
        return LAYER_OF_HEADER.get(stem[len("include/rondo/") :])
    name = stem[len("runtime/") :]
    if name in LAYER_OF_RUNTIME:
        return LAYER_OF_RUNTIME[name]
    for candidate in (name, "detail/" + name):
        if candidate in LAYER_OF_HEADER:
            return LAYER_OF_HEADER[candidate]
    return next(
        (layer for prefix, layer in LAYER_OF_RUNTIME_PREFIX.items() if name.startswith(prefix)),
        None,
    )


def target_of(path, quote, name, files):
    """The file of ours that an include means, or None for somebody else's."""
    if name.startswith("rondo/"):
        return "include/" + name
    if quote == '"':
        here = path.rsplit("/", 1)[0]
        for candidate in (f"{here}/{name}", f"runtime/{name}", name):
            if candidate in files:
                return candidate
        return f"{here}/{name}"
    return None


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_file(path, text, files):
    """Findings in one file, as (line, sentence)."""
    text = strip(text)
    own = layer_of(path)
    if own is None:
        yield 1, "has no layer: add it to the table in scripts/check_layers.py"
        return
    for match in INCLUDE.finditer(text):
        line = line_of(text, match.start())
        quote, name = match.groups()
        if name in ("liburing.h", "linux/io_uring.h") or name.startswith("liburing/"):
            if path not in MAY_SEE_IO_URING:
                yield line, f"includes <{name}>, which only {MAY_SEE_IO_URING[0]} may see"
            continue
        target = target_of(path, quote, name, files)
        if target is None:
            continue
        if target not in files:
            yield line, f"includes {name}, which is not there"
            continue
        if path.startswith("include/") and target.startswith("runtime/"):
            yield line, f"a public header includes {target}"
        theirs = layer_of(target)
        if theirs is not None and theirs > own:
            yield line, f"layer {own} includes {target} of layer {theirs}"
        if target.startswith("runtime/") and theirs == 2 and 3 <= own < INNARDS_ALLOWED_FROM:
            yield line, f"layer {own} includes {target}: use the public face of layer 2"
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
    """The cycles of includes, as lists of paths. An include behind a file's own code is none of its
    needs but the other half of the same header, in a file of its own; it makes no cycle."""
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


def check_sources(files):
    """One (name, findings) for each file, and one for the cycles."""
    for path in sorted(files):
        yield path, [
            f"{path}:{line}: {what}" for line, what in check_file(path, files[path], files)
        ]
    yield "no cycle of includes", [" -> ".join(cycle) for cycle in cycles(files)]


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

    runtime = {f"runtime/{path.name}" for path in (root / "runtime").glob("*.cpp")}
    yield differ(
        "runtime sources are listed", listed(text["."], "runtime_sources"), runtime, "meson.build"
    )
    tests = {name[len("test_") :] for name in names("tests", "test_*.cpp")}
    in_list = listed(text["tests"], "test_names") | listed(text["tests"], "example_test_names")
    yield differ("tests are listed", in_list, tests, "tests/meson.build test_names")
    support = {
        name + ".cpp"
        for name in names("tests", "*.cpp")
        if not name.startswith("test_") and name != "main"
    }
    yield differ(
        "test support is listed",
        listed(text["tests"], "test_support_sources"),
        support,
        "tests/meson.build test_support_sources",
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
    for folder in ("downloader", "file_server"):
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


# -- is it able to find anything? ------------------------------------------------------------------
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
    (GOOD, "runtime/kernel/ring/setup.cpp", '#include <liburing.h>\n#include "kernel.hpp"\n'),
    (BAD, "include/rondo/loop.hpp", '#include "../../runtime/kernel/kernel.hpp"\n'),
    (BAD, "runtime/gather.cpp", '#include "kernel.hpp"\n'),
    (GOOD, "runtime/loop/loop.cpp", '#include "kernel.hpp"\n#include <rondo/loop.hpp>\n'),
    (GOOD, "runtime/testing/testing.cpp", '#include "kernel.hpp"\n'),
    (BAD, "include/rondo/surprise.hpp", "\n"),
    (BAD, "include/rondo/net.hpp", "#include <rondo/nothing.hpp>\n"),
    (BAD, "runtime/io/net/net.cpp", "void f(int fd) { ::close(fd); }\n"),
    (BAD, "runtime/io/net/net.cpp", "void f(int fd) {\n    close(fd);\n}\n"),
    (BAD, "runtime/io/net/net.cpp", "void f(int fd) { if (fd > 0) close(fd); }\n"),
    (
        GOOD,
        "runtime/io/net/net.cpp",
        "struct s { int close(int fd); void close(); }; int g(s& x) { return x.close(3); }\n",
    ),
    (GOOD, "runtime/io/net/net.cpp", 'void f() { say("close(3)"); }  // ::close(fd)\n'),
    (GOOD, "runtime/io/net/net.cpp", "operation<> tcp_stream::close() { return net::close(fd_); }\n"),
    (GOOD, "runtime/kernel/system.cpp", "int real::close(int fd) { return ::close(fd); }\n"),
    (BAD, "runtime/io/net/net.cpp", "void f() { ::sigaction(SIGPIPE, &action, nullptr); }\n"),
    (BAD, "runtime/io/net/net.cpp", "void f() { std::signal(SIGINT, handler); }\n"),
    (GOOD, "runtime/loop/run.cpp", "void f() { ::sigaction(SIGINT, &action, &before); }\n"),
]


def self_test():
    failed = 0
    for number, (good, path, text) in enumerate(SELF_TEST):
        files = {
            name: ""
            for name in (
                "runtime/kernel/kernel.hpp",
                "include/rondo/error.hpp",
                "include/rondo/task.hpp",
                "include/rondo/loop.hpp",
                "include/rondo/net.hpp",
            )
        }
        files[path] = text
        found = list(check_file(path, text, files))
        if bool(found) == good:
            failed += 1
            print(
                f"self-test {number}: {path}: {text!r}: "
                f"{'nothing' if good else 'something'} was to be found, not {found}"
            )
    ring = {
        "include/rondo/task.hpp": "#include <rondo/cancel.hpp>\n",
        "include/rondo/cancel.hpp": "#include <rondo/task.hpp>\n",
    }
    if not cycles(ring) or cycles(
        {"include/rondo/task.hpp": "#include <rondo/cancel.hpp>\n", "include/rondo/cancel.hpp": ""}
    ):
        failed += 1
        print("self-test: cycles are not told from their absence")
    print(f"{len(SELF_TEST) + 1 - failed} passed, {failed} failed")
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
    passed = failed = 0
    for check in (check_sources(files), check_lists(root), check_version(root)):
        for name, findings in check:
            passed, failed = passed + (not findings), failed + bool(findings)
            for finding in findings:
                print(finding)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
