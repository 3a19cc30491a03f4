#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares our HTTP client with libcurl (multi), Go's net/http, aiohttp and hyper, and our server
with nginx, Go, aiohttp, hyper and uvicorn, interleaved.

usage: bench/compare_http.py [BUILD] [--rounds N] [--svg FILE] [CASE...]

BUILD is a meson build folder of a release build, as for compare.py. The server that the clients ask
is nginx, and the client that asks the servers is h2load, each on a processor of its own. Medians;
compare only figures of one run.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import http_servers  # noqa: E402
from compare import on  # noqa: E402
from http_servers import PORT, TLS_PORT, WITHOUT_HTTP2, start_nginx  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CRATES = pathlib.Path("/usr/share/cargo/registry")  # of Debian's packages librust-...-dev
OURS = "rondo"
CASES = {
    "small": "1,000 × 4 KiB, 16 at a time, ms",
    "small_tls": "the same over TLS, ms",
    "small_h2": "the same over HTTP/2 and TLS, ms",
    "large": "4 × 100 MiB to files, ms",
    "large_tls": "the same over TLS, ms",
    "idle": "an idle kept connection, bytes",
    "idle_tls": "the same with TLS, bytes",
}


def certificates(folder):
    """A certificate of localhost and its authority."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    for command in (
        ["req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=a test"],
        ["req", *curve, "-keyout", "key.pem", "-out", "request", "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-extfile",
         "names", "-out", "chain.pem"],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


def python_with(module):
    for python in sys.executable, "/usr/bin/python3":
        found = subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL)
        if found.returncode == 0:
            return python
    return None


def go_program(name, folder):
    """The command of a program of peers/ in Go; none without Go."""
    if not shutil.which("go"):
        return None
    program = folder / name
    cache = {"GOCACHE": str(folder / "cache"), "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", program, HERE / f"peers/{name}.go"], check=True,
                   env={**os.environ, **cache})
    return [program]


def hyper_program(name, folder):
    """The command of a program of peers/hyper/; none without cargo and Debian's crates."""
    if not shutil.which("cargo") or not [*CRATES.glob("hyper-rustls-*")]:
        return None
    copy = shutil.copytree(HERE / "peers/hyper", folder / "hyper", dirs_exist_ok=True)
    source = ["--config", 'source.crates-io.replace-with="debian"',
              "--config", f'source.debian.directory="{CRATES}"']
    target = {"CARGO_TARGET_DIR": str(folder / "cargo")}
    subprocess.run(["cargo", *source, "build", "--quiet", "--release", "--offline", "--bin", name],
                   cwd=copy, check=True, env={**os.environ, **target})
    return [folder / "cargo/release" / name]


def left_out(found, peers):
    if missing := [peer for peer in peers if peer not in found]:
        print(f"not installed, left out: {', '.join(missing)}", file=sys.stderr)
    return found


def clients(build, folder):
    """The command of each client that is there."""
    found = {OURS: [build / "bench/http"]}
    if (build / "bench/curl_http").exists():
        found["libcurl"] = [build / "bench/curl_http"]
    if go := go_program("http_client", folder):
        found["Go"] = go
    if python := python_with("aiohttp"):
        found["aiohttp"] = [python, HERE / "peers/http_client.py"]
    if hyper := hyper_program("client", folder):
        found["hyper"] = hyper
    return left_out(found, ("libcurl", "Go", "aiohttp", "hyper"))


def h2load(url, is_h2):
    """The least that a client can do: messages without a connection's pool, timers or bodies."""
    count = 15000
    connections = ["-c1", "-m16"] if is_h2 else ["--h1", "-c16"]
    with open(os.devnull, "w") as nowhere:
        began = time.monotonic()
        child = subprocess.Popen(["h2load", "-t1", *connections, f"-n{count}", url],
                                 stdout=nowhere, preexec_fn=on(0))
        _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit("h2load has failed")
    batches = count / 1000
    return {"wall": (time.monotonic() - began) * 1000 / batches,
            "cpu": (used.ru_utime + used.ru_stime) * 1000 / batches}


def run_case(command, case, folder):
    what, _, secure = case.partition("_")
    url = f"https://localhost:{TLS_PORT}/" if secure else f"http://127.0.0.1:{PORT}/"
    out = folder / "out"
    out.mkdir(exist_ok=True)
    if command == "h2load":
        return h2load(url + "small", secure == "h2")
    arguments = [what, url + ("large" if what == "large" else "small")]
    arguments += [out] * (what == "large") + [folder / "ca.pem"] * bool(secure)
    env = {**os.environ, "GOMAXPROCS": "1", **({"HTTP2": "1"} if secure == "h2" else {})}
    done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, text=True, check=True,
                          preexec_fn=on(0), env=env)
    shutil.rmtree(out)
    return json.loads(done.stdout.splitlines()[-1])


def measure(sides, case, rounds, folder):
    """Medians of each side: {side: {"wall": ms, "cpu": ms} or {"bytes": n}}."""
    if case.endswith("_h2"):
        sides = {side: command for side, command in sides.items() if side not in WITHOUT_HTTP2}
    if case.startswith("small") and shutil.which("h2load"):
        sides = {**sides, "h2load": "h2load"}
    runs = {side: [] for side in sides}
    for _ in range(rounds):
        for side, command in sides.items():
            runs[side].append(run_case(command, case, folder))
    return {
        side: {key: statistics.median(run[key] for run in all_runs) for key in all_runs[0]}
        for side, all_runs in runs.items()
    }


def shown(found):
    if "bytes" in found:
        return f"{found['bytes']:.0f}"
    digits = 0 if found["wall"] > 200 else 1
    return f"{found['wall']:.{digits}f} / {found['cpu']:.{digits}f}"


def chart(results, sides):
    """Bars: the processor time (or the memory) of each client as a multiple of libcurl's."""
    colors = dict(zip(sides, ("#c0392b", "#7f8c8d", "#2980b9", "#27ae60", "#8e44ad")))
    parts, y = [], 34
    for case, found in results.items():
        key = "cpu" if "cpu" in found[OURS] else "bytes"
        base = found.get("libcurl", found[OURS])[key]
        parts.append(f'<text x="10" y="{y}" font-size="12">{CASES[case]}</text>')
        for side in filter(found.__contains__, sides):
            ratio = found[side][key] / base
            width = min(ratio, 6) * 80
            y += 15
            parts.append(f'<text x="70" y="{y}" text-anchor="end" font-size="11">{side}</text>')
            parts.append(f'<rect x="76" y="{y - 9}" width="{width:.0f}" height="10" '
                         f'fill="{colors[side]}"/>')
            parts.append(f'<text x="{80 + width:.0f}" y="{y}" font-size="11">{ratio:.2f}</text>')
        y += 24
    title = "Processor time and memory of HTTP clients, libcurl = 1"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{y}" '
            f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>'
            f'<text x="10" y="16" font-size="13">{title}</text>{"".join(parts)}</svg>\n')


def servers(build, folder):
    """The command of each server that is there; nginx has its own."""
    arguments = [str(PORT), str(TLS_PORT), folder / "files"]
    found = {OURS: [build / "bench/http_server", *arguments], "nginx": None}
    if go := go_program("http_server", folder):
        found["Go"] = [*go, *arguments]
    if python := python_with("aiohttp"):
        found["aiohttp"] = [python, HERE / "peers/http_server.py", *arguments]
    if hyper := hyper_program("server", folder):
        found["hyper"] = [*hyper, *arguments]
    if python := python_with("uvicorn"):
        found["uvicorn"] = [python, HERE / "peers/uvicorn_server.py", *arguments]
    return left_out(found, ("Go", "aiohttp", "hyper", "uvicorn"))


def compare_clients(build, folder, cases, rounds):
    sides = clients(build, folder)
    results = {}
    with start_nginx(folder):
        print(f"| wall / CPU | {' | '.join(sides)} |\n| --- |{' ---: |' * len(sides)}")
        for case in cases:
            results[case] = measure(sides, case, rounds, folder)
            cells = " | ".join(shown(results[case][side]) if side in results[case] else ""
                               for side in sides)
            if floor := results[case].pop("h2load", None):
                print(f"| (h2load: {shown(floor)}) |" + " |" * len(sides))
            print(f"| {CASES[case]} | {cells} |", flush=True)
    return results, sides


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("cases", nargs="*", default=[*CASES, *http_servers.CASES])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--svg", type=pathlib.Path)
    args = parser.parse_intermixed_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="rondo-http-", dir=memory) as name:
        folder = pathlib.Path(name)
        certificates(folder)
        http_servers.make_files(folder / "files")
        build = args.build.resolve()
        if asked := [case for case in args.cases if case in CASES]:
            results, sides = compare_clients(build, folder, asked, args.rounds)
            if args.svg:
                args.svg.write_text(chart(results, sides))
        if asked := [case for case in args.cases if case in http_servers.CASES]:
            http_servers.compare(servers(build, folder), asked, args.rounds, folder)


if __name__ == "__main__":
    main()
