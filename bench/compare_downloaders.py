#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares our downloader with curl -Z, aria2c, wget2 and a program of aiohttp, interleaved.

usage: bench/compare_downloaders.py PROGRAM [--rounds N] [--cells A,B] [--svg FILE] [--json FILE]

PROGRAM is rondo-get of a release build. The server is nginx on loopback, on another processor than
the client; the files are in memory. Each run is checked: all files are there, with all their bytes.
The link of the cells "slow" is peers/slow_link.py, a proxy: 20 ms each way and 1 % loss, as far as
one can have them without the kernel's netem. Medians of the rounds: seconds of the clock, seconds
of the processor, and the most memory. Compare only figures of one run.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import http_servers  # noqa: E402
from compare import on  # noqa: E402
from compare_http import certificates, python_with  # noqa: E402

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
OURS = "rondo-get"
SIDES = (OURS, "curl -Z", "aria2c", "wget2", "aiohttp")
WITH_HTTP2 = (OURS, "curl -Z", "wget2")
SMALL, LARGE, MIDDLE, SPLIT = 4096, 100 << 20, 10 << 20, 64 << 20

# Name: title, files, bytes of each, at a time, protocol, whether the link is slow. Files from 64
# MiB on are split by rondo-get, as it does by default; the others fetch each by one connection.
CELLS = {
    "small": ("1,000 × 4 KiB", 1000, SMALL, 16, "http", False),
    "small_tls": ("1,000 × 4 KiB, TLS", 1000, SMALL, 16, "https", False),
    "small_h2": ("1,000 × 4 KiB, HTTP/2", 1000, SMALL, 16, "h2", False),
    "large": ("4 × 100 MiB", 4, LARGE, 16, "http", False),
    "large_tls": ("4 × 100 MiB, TLS", 4, LARGE, 16, "https", False),
    "large_h2": ("4 × 100 MiB, HTTP/2", 4, LARGE, 16, "h2", False),
    "many": ("10,000 × 4 KiB, 256 at a time", 10000, SMALL, 256, "http", False),
    "one": ("1 × 4 KiB", 1, SMALL, 16, "http", False),
    "slow_small": ("200 × 4 KiB, slow link", 200, SMALL, 16, "http", True),
    "slow_small_h2": ("200 × 4 KiB, slow link, HTTP/2", 200, SMALL, 16, "h2", True),
    "slow_large": ("4 × 10 MiB, slow link", 4, MIDDLE, 16, "http", True),
    "slow_split": ("1 × 64 MiB, slow link", 1, SPLIT, 16, "http", True),
}
SLOW_PORT = http_servers.PORT + 10


def make_files(folder):
    """Files of different bytes; the large ones are one with four names."""
    folder.mkdir()
    chance = random.Random(1)
    for number in range(10000):
        (folder / f"small{number}").write_bytes(chance.randbytes(SMALL))
    for name, size in (("large", LARGE), ("middle", MIDDLE), ("split", SPLIT)):
        (folder / f"{name}0").write_bytes(chance.randbytes(1 << 20) * (size >> 20))
        for number in range(1, 4):
            (folder / f"{name}{number}").hardlink_to(folder / f"{name}0")


def files_of(cell):
    _, count, size, *_ = CELLS[cell]
    kind = {SMALL: "small", LARGE: "large", MIDDLE: "middle", SPLIT: "split"}[size]
    return [f"{kind}{number}" for number in range(count)]


class Comparison:
    def __init__(self, program, folder):
        self.program = str(program)
        self.folder = folder
        self.out = folder / "out"
        self.measured = str(folder / "measured")
        subprocess.run(["cc", "-O2", "-o", self.measured, PEERS / "measured.c"], check=True)

    def there(self):
        """The sides that are installed."""
        programs = {"curl -Z": "curl", "aria2c": "aria2c", "wget2": "wget2"}
        for side in SIDES:
            is_there = side == OURS or (
                python_with("aiohttp") if side == "aiohttp" else shutil.which(programs[side]))
            if is_there:
                yield side
            else:
                print(f"{side} is not installed", file=sys.stderr)

    def base_url(self, cell):
        protocol, is_slow = CELLS[cell][4:]
        secure = protocol != "http"
        port = (http_servers.TLS_PORT if secure else http_servers.PORT) + (10 if is_slow else 0)
        return f"{'https' if secure else 'http'}://localhost:{port}/"

    def command(self, side, cell):
        """The command of a side, after its list of URLs has been written."""
        jobs, protocol = CELLS[cell][3:5]
        base, names = self.base_url(cell), files_of(cell)
        authority, listed = str(self.folder / "ca.pem"), self.folder / "list"
        secure = protocol != "http"
        trust = ["--cacert", authority] * secure
        plain = "".join(f"{base}{name}\n" for name in names)
        if side == "curl -Z":
            listed.write_text("".join(f'url={base}{n}\noutput={self.out}/{n}\n' for n in names))
            version = "--http2" if protocol == "h2" else "--http1.1"
            return ["curl", "-q", "-sS", "-f", "-Z", "--parallel-max", str(jobs), version,
                    *trust, "-K", str(listed)]
        if side == "aiohttp":
            listed.write_text("".join(f"{base}{name} {name}\n" for name in names))
            command = [python_with("aiohttp"), str(PEERS / "download.py"), str(listed)]
            return [*command, str(self.out), str(jobs), *([authority] * secure)]
        listed.write_text(plain)
        if side == "aria2c":
            return ["aria2c", "--no-conf", "--async-dns=false", "-q", f"-j{jobs}", "-i",
                    str(listed), "-d", str(self.out), "--file-allocation=none",
                    *([f"--ca-certificate={authority}"] * secure)]
        if side == "wget2":
            # Each of its threads has a connection of its own, with so many requests over HTTP/2.
            version = ["--max-threads=1", f"--http2-request-window={jobs}"]
            if protocol != "h2":
                version = ["--no-http2", f"--max-threads={jobs}"]
            return ["wget2", "--no-config", "-q", *version, "-i", str(listed), "-P",
                    str(self.out), "--no-robots", "--no-hsts",
                    *([f"--ca-certificate={authority}"] * secure)]
        version = "--http2" if protocol == "h2" else "--http1.1"
        return [self.program, "-q", "-j", str(jobs), "--per-host", str(jobs), "-d", str(self.out),
                "-i", str(listed), version, *trust]

    def run(self, side, cell):
        self.out.mkdir()
        command = self.command(side, cell)
        # A link of its own for each run: so the losses are the same for all.
        with slow_link() if CELLS[cell][5] else contextlib.nullcontext():
            done = subprocess.run([self.measured, "0", *command], capture_output=True, text=True,
                                  timeout=300)
        found = json.loads(done.stdout.splitlines()[-1])
        if found["status"] != 0:
            sys.exit(f"{side}, {cell}: status {found['status']}\n{done.stderr[:2000]}")
        self.check(side, cell)
        shutil.rmtree(self.out)
        return found

    def check(self, side, cell):
        for name in files_of(cell):
            file, source = self.out / name, self.folder / "files" / name
            if not file.exists() or file.stat().st_size != source.stat().st_size:
                sys.exit(f"{side}, {cell}: {name} is not there, or not whole")
            if name.startswith("small") and file.read_bytes() != source.read_bytes():
                sys.exit(f"{side}, {cell}: {name} has other bytes")

    def measure(self, cell, rounds):
        is_http2 = CELLS[cell][4] == "h2"
        sides = [side for side in self.there() if side in WITH_HTTP2 or not is_http2]
        runs = {side: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                runs[side].append(self.run(side, cell))
        return {
            side: {key: statistics.median(run[key] for run in all_runs)
                   for key in ("wall", "cpu", "memory")}
            for side, all_runs in runs.items()
        }


@contextlib.contextmanager
def slow_link():
    ports = (http_servers.PORT, http_servers.TLS_PORT)
    pairs = [str(number) for port in ports for number in (port + 10, port)]
    proxy = subprocess.Popen([sys.executable, PEERS / "slow_link.py", *pairs], preexec_fn=on(1))
    try:
        give_up = time.monotonic() + 10
        while not http_servers.listens(SLOW_PORT):
            if proxy.poll() is not None or time.monotonic() > give_up:
                sys.exit("the slow link does not listen")
            time.sleep(0.02)
        yield
    finally:
        proxy.terminate()
        proxy.wait()


# -- tables ----------------------------------------------------------------------------------------
def shown(found, key):
    if found is None:
        return "–"
    if key == "memory":
        return f"{found[key] / 1024:.1f}"
    milliseconds = found[key] * 1000
    return f"{milliseconds:.{0 if milliseconds >= 100 else 1}f}"


def table(results, key, title):
    """A table in Markdown. The best of a row is bold."""
    lines = [f"| {title} | {' | '.join(SIDES)} |", f"| --- |{' ---: |' * len(SIDES)}"]
    for cell, found in results.items():
        best = min(one[key] for one in found.values())
        cells = [shown(found.get(side), key) for side in SIDES]
        cells = [f"**{text}**" if side in found and found[side][key] == best else text
                 for side, text in zip(SIDES, cells)]
        lines.append(f"| {CELLS[cell][0]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def chart(results):
    """Bars: the clock time of each side as a multiple of ours."""
    colors = dict(zip(SIDES, ("#c0392b", "#7f8c8d", "#2980b9", "#27ae60", "#8e44ad")))
    parts, y = [], 34
    for cell, found in results.items():
        base = found[OURS]["wall"]
        parts.append(f'<text x="10" y="{y}" font-size="12">{CELLS[cell][0]}: '
                     f'{shown(found[OURS], "wall")} ms</text>')
        for side in SIDES:
            if side not in found:
                continue
            ratio = found[side]["wall"] / base
            width = min(ratio, 8) * 60
            y += 15
            parts.append(f'<text x="70" y="{y}" text-anchor="end" font-size="11">{side}</text>')
            parts.append(f'<rect x="76" y="{y - 9}" width="{width:.0f}" height="10" '
                         f'fill="{colors[side]}"/>')
            parts.append(f'<text x="{80 + width:.0f}" y="{y}" font-size="11">{ratio:.2f}</text>')
        y += 24
    title = f"Time of downloads, {OURS} = 1"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{y}" '
            f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>'
            f'<text x="10" y="16" font-size="13">{title}</text>{"".join(parts)}</svg>\n')


def enter_own_network():
    """Restarts this script where the ports are free: in a network namespace with a loopback."""
    if os.environ.get("RONDO_OWN_NETWORK") == str(os.getpid()):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    for unshare in ["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]:
        if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            os.environ["RONDO_OWN_NETWORK"] = str(os.getpid())  # exec keeps it
            os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cells", type=lambda text: text.split(","), default=list(CELLS))
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    enter_own_network()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="rondo-downloads-", dir=memory) as name:
        folder = pathlib.Path(name)
        certificates(folder)
        make_files(folder / "files")
        all_of_it = Comparison(args.program.resolve(), folder)
        results = {}
        with http_servers.start_nginx(folder):
            for cell in args.cells:
                results[cell] = all_of_it.measure(cell, args.rounds)
                print(f"{cell}: {results[cell]}", file=sys.stderr, flush=True)
    titles = {"wall": "clock, ms", "cpu": "processor, ms", "memory": "memory at most, MiB"}
    print("\n\n".join(table(results, key, title) for key, title in titles.items()))
    if args.svg:
        args.svg.write_text(chart(results))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
