#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs our micro and echo and hand-written references, interleaved, and prints ratios.

usage: bench/compare.py [BUILD] [--rounds N] [--only micro|echo] [--cases A,B] [--cells 64x64,...]
                     [--seconds S] [--json FILE] [--kernel ring,readiness]

With --kernel, the named kernels of rondo are compared with each other, beside raw_uring and
raw_epoll: echo, and the cases that the choice could change.

BUILD is a meson build folder (default: build) of a release build:
    meson setup build --buildtype=release && meson compile -C build
The server, and every case that has one thread, runs on processor 0, the load on processor 1.
Compare only figures of one call: another machine, or this one tomorrow, gives others.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

OURS, FLOOR = "rondo", "raw"
# Cases that may use both processors, and are judged by the clock.
SEVERAL_THREADS = ("offload_", "post_", "pool_", "process_")
BY_VALUE = (*SEVERAL_THREADS, "sleepers_", "file_")


def on(*processors):
    """Limits a child to these processors; for preexec_fn."""
    allowed = os.sched_getaffinity(0)
    return lambda: os.sched_setaffinity(0, allowed & set(processors) or allowed)


def median_row(runs, key):
    return statistics.median(run[key] for run in runs)


# -- micro -----------------------------------------------------------------------------------------
def run_case(binary, case, env=None):
    processors = (0, 1) if case.startswith(SEVERAL_THREADS) else (0,)
    done = subprocess.run(
        [binary, case], stdout=subprocess.PIPE, text=True, check=True, env=env,
        preexec_fn=on(*processors)
    )
    found = json.loads(done.stdout.splitlines()[-1])
    by_value = case.startswith(BY_VALUE)
    found["score"] = found["value"] if by_value else found.get("cpu", found["value"])
    return found


def compare_micro(binaries, args):
    listed = {
        name: subprocess.run([path, "list"], stdout=subprocess.PIPE, text=True, check=True)
        .stdout.split()
        for name, path in binaries.items()
    }
    cases = [case for case in listed[OURS] if not args.cases or case in args.cases]
    print(f"{'case':18} {'floor ns':>10} {'ours ns':>10} {'ratio':>7}")
    result = {}
    for case in cases:
        who = [name for name in (FLOOR, OURS) if case in listed[name]]
        runs = {name: [] for name in who}
        for _ in range(args.rounds):
            for name in who:
                runs[name].append(run_case(binaries[name], case))
        score = {name: median_row(runs[name], "score") for name in who}
        ratio = score[OURS] / score[FLOOR] if FLOOR in who else None
        result[case] = {**score, "ratio": ratio}
        floor = f"{score[FLOOR]:10.1f}" if ratio else f"{'-':>10}"
        further = "".join(
            f"   {key} {median_row(runs[OURS], key):.0f}"
            + (f" (floor {median_row(runs[FLOOR], key):.0f})" if ratio else "")
            for key in ("bytes_per_sleeper", "p99")
            if key in runs[OURS][0]
        )
        shown = f"{ratio:7.2f}" if ratio else f"{'-':>7}"
        print(f"{case:18} {floor} {score[OURS]:10.1f} {shown}{further}", flush=True)
    return result


# -- echo ------------------------------------------------------------------------------------------
def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until_it_listens(port, server):
    end = time.monotonic() + 10
    while time.monotonic() < end and server.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the server does not listen")


def processor_time(pid):
    """Of all threads, in ns."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def run_echo(server_binary, load_binary, connections, size, seconds, env=None):
    port = free_port()
    server = subprocess.Popen([server_binary, str(port)], env=env, preexec_fn=on(0))
    try:
        wait_until_it_listens(port, server)
        before = processor_time(server.pid)
        load = subprocess.run(
            [load_binary, str(port), str(connections), str(size), str(seconds)],
            stdout=subprocess.PIPE, text=True, check=True, preexec_fn=on(1), timeout=seconds + 30,
        )
        found = json.loads(load.stdout)
        # The load's warm-up is in the time and not in the requests: a share of 0.2 s.
        share = seconds / (seconds + 0.2)
        found["cpu_ns"] = (processor_time(server.pid) - before) * share / found["requests"]
        return found
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def compare_echo(binaries, load_binary, args):
    print(f"\n{'echo':12} {'floor req/s':>12} {'ours':>10} {'ratio':>7}   {'floor CPU ns':>12} "
          f"{'ours':>8} {'ratio':>7}   p99.9 us (floor)")
    result = {}
    for cell in args.cells:
        connections, size = map(int, cell.split("x"))
        runs = {name: [] for name in binaries}
        for _ in range(args.rounds):
            for name, binary in binaries.items():
                runs[name].append(run_echo(binary, load_binary, connections, size, args.seconds))
        row = {
            name: {
                key: median_row(runs[name], key) for key in ("rps", "cpu_ns", "p50_us", "p999_us")
            }
            for name in binaries
        }
        ours, floor = row[OURS], row[FLOOR]
        ratio = {key: ours[key] / floor[key] for key in ("rps", "cpu_ns")}
        result[cell] = {**row, "ratio": ratio}
        print(f"{cell:12} {floor['rps']:12.0f} {ours['rps']:10.0f} {ratio['rps']:7.2f}   "
              f"{floor['cpu_ns']:12.0f} {ours['cpu_ns']:8.0f} {ratio['cpu_ns']:7.2f}   "
              f"{ours['p999_us']:.0f} ({floor['p999_us']:.0f})", flush=True)
    return result


# -- kernels ---------------------------------------------------------------------------------------
KERNEL_CASES = ("file_read4k", "file_read4k_qd32", "spawn_batch", "sleepers_100k", "timer_cancel")


def with_kernel(name):
    """The environment of a program of ours that runs on this kernel."""
    return {**os.environ, "RONDO_KERNEL": name}


def row_of(values, base):
    """Figures with their ratio to the one of `base`."""
    return "".join(
        f"{value:10.0f} ({value / values[base]:4.2f})" if base in values else f"{value:10.0f}       "
        for value in values.values()
    )


def compare_echo_of_kernels(folder, args):
    servers = {"raw_uring": (folder / "raw_echo", None), "raw_epoll": (folder / "raw_epoll", None)}
    servers.update({name: (folder / "echo", with_kernel(name)) for name in args.kernel})
    print("echo" + " " * 14 + "".join(f"{name:>17}" for name in servers))
    result = {}
    for cell in args.cells:
        connections, size = map(int, cell.split("x"))
        runs = {name: [] for name in servers}
        for _ in range(args.rounds):
            for name, (binary, env) in servers.items():
                runs[name].append(
                    run_echo(binary, folder / "load", connections, size, args.seconds, env))
        result[cell] = {
            name: {key: median_row(runs[name], key) for key in ("rps", "cpu_ns", "p999_us")}
            for name in servers
        }
        for key, title, base in (("rps", "req/s", "ring"), ("cpu_ns", "CPU ns", "raw_epoll")):
            values = {name: row[key] for name, row in result[cell].items()}
            print(f"{cell:10} {title:7}{row_of(values, base)}   x {base}", flush=True)
    return result


def compare_micro_of_kernels(folder, args):
    programs = {FLOOR: (folder / "raw_micro", None)}
    programs.update({name: (folder / "micro", with_kernel(name)) for name in args.kernel})
    listed = {
        name: subprocess.run([path, "list"], stdout=subprocess.PIPE, text=True, check=True)
        .stdout.split()
        for name, (path, _) in programs.items()
    }
    print("\nns" + " " * 16 + "".join(f"{name:>17}" for name in programs))
    result = {}
    for case in args.cases or KERNEL_CASES:
        who = [name for name in programs if case in listed[name]]
        runs = {name: [] for name in who}
        for _ in range(args.rounds):
            for name in who:
                binary, env = programs[name]
                runs[name].append(run_case(binary, case, env))
        result[case] = {name: median_row(runs[name], "score") for name in who}
        base = FLOOR if FLOOR in who else who[0]
        pad = "" if FLOOR in who else " " * 17
        print(f"{case:18}{pad}{row_of(result[case], base)}   x {base}", flush=True)
    return result


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--only", choices=("micro", "echo"))
    p.add_argument("--cases", type=lambda s: s.split(","))
    p.add_argument("--cells", type=lambda s: s.split(","),
                   default=["1x64", "64x64", "64x16384", "1000x64"])
    p.add_argument("--kernel", type=lambda s: s.split(","))
    p.add_argument("--json")
    args = p.parse_args()
    folder = pathlib.Path(args.build).resolve() / "bench"
    if not (folder / "micro").exists():
        sys.exit(f"{folder}/micro is not there: build first, see --help")
    os.environ.setdefault("BENCH_TMP", str(folder))
    result = {}
    if args.kernel:
        if args.only != "micro":
            result["echo of kernels"] = compare_echo_of_kernels(folder, args)
        if args.only != "echo":
            result["micro of kernels"] = compare_micro_of_kernels(folder, args)
    elif args.only != "echo":
        result["micro"] = compare_micro({FLOOR: folder / "raw_micro", OURS: folder / "micro"}, args)
    if not args.kernel and args.only != "micro":
        servers = {FLOOR: folder / "raw_echo", OURS: folder / "echo"}
        result["echo"] = compare_echo(servers, folder / "load", args)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
