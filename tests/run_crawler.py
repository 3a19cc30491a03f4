#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the example crawler from outside, on loopback, over the site that crawler_site serves: 300
pages made by a formula, in ten ways of writing HTML, with redirects, loops, pages that end early
or never, and traps. Each page must be in the results once, and each was asked for once.

usage: run_crawler.py --examples FOLDER --programs FOLDER [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import collections
import contextlib
import http.server
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

from run_programs import (  # noqa: E402
    SANITIZER,
    SLOWER,
    Child,
    Failed,
    enter_own_network,
    run,
    skip,
    wait_for_text,
)

PAGES = 300
LONG = bool(os.environ.get("RONDO_LONG"))  # 20,000 pages in the shared crawl
FAST = ["--delay", "0", "--per-host", "8", "--retries", "0"]
# Around the pages: path -> what its line must have. The traps are not here.
ODD = {
    "/loop/a": {"status": 302, "depth": 1},
    "/loop/b": {"status": 302, "depth": 1},
    "/private/a": {"skipped": "robots.txt"},
    "/private/open": {"status": 200},
    "/quiet": {"status": 200, "noindex": True, "links": 1},
    "/missing": {"status": 404},
    "/gone": {"status": 410, "links": None},
    "/file.pdf": {"status": 200, "type": "application/pdf"},
    "/cut": {"status": 200, "error": "/cut"},
    "/big": {"status": 200, "cut": True, "bytes": 2 << 20, "title": "big"},
    "/again": {"status": 200, "links": 0},
    "/twin": {"status": 200, "title": "ä", "links": 1},
    **{f"/deeper/{n}": {"status": 307} for n in range(1, 11)},
    "/deeper/11": {"status": 307, "error": "more than 10 redirects"},
}
ALLOWED_TWICE = {"/robots.txt"}


def expect(condition, what):
    if not condition:
        raise Failed(what)


class Site:
    """crawler_site, and what it was asked for."""

    def __init__(self, folder, pages):
        self.child = Child([str(folder / "crawler_site"), str(pages)])
        self.start = wait_for_text(self.child, r"(http://\S+)\n")
        self.root = self.start.removesuffix("/p/0")

    def hits(self):
        with urllib.request.urlopen(f"{self.root}/hits", timeout=10 * SLOWER) as answer:
            lines = answer.read().decode().splitlines()
        return {path: int(count) for count, path in (line.split(" ", 1) for line in lines)}

    def judge(self):
        if SANITIZER.search(self.child.text(self.child.err)):
            raise Failed(f"crawler_site: {self.child.said()}")


class Driver:
    def __init__(self, given):
        self.crawler = str(given.examples / "crawler")
        self.programs = given.programs

    def lacks_redis(self):
        """The reason why no crawl can be shared here; empty if one can."""
        if not shutil.which("redis-server"):
            return "redis-server is not installed"
        asked = subprocess.run([self.crawler, "--queue", "unix:///none#x", "http://localhost"],
                               capture_output=True, text=True)
        return "it was built without librondo-redis" if "without" in asked.stderr else ""

    @contextlib.contextmanager
    def site(self, pages=PAGES):
        site = Site(self.programs, pages)
        try:
            yield site
            site.judge()
        finally:
            site.child.kill()

    def crawl(self, *arguments, status=0):
        """Runs a crawl to its end; gives its lines and what it said on standard error."""
        child = Child([self.crawler, *map(str, arguments)])
        ended = child.wait(30 * SLOWER, "its start")
        said = child.text(child.err)
        if ended != status or SANITIZER.search(said):
            raise Failed(f"crawler ended with status {ended} instead of {status}{child.said()}")
        return [json.loads(line) for line in child.text(child.out).splitlines()], said

    def started(self, site, queue, file):
        """A process of a shared crawl. A delay keeps it going for some seconds."""
        delay = ["--delay", "0" if LONG else "0.008", "--lease", "1", "--max-pages", "0"]
        command = [self.crawler, *FAST, *delay, "--queue", queue, "-o", str(file), site.start]
        return Child(command)

    # -- checks ------------------------------------------------------------------------------------
    def check_every_page(self, *more):
        with self.site() as site:
            lines, said = self.crawl(*FAST, *more, site.start, status=1)
            hits = site.hits()
        judge_results(lines, site, PAGES)
        twice = {path: n for path, n in hits.items() if n > 1 and path not in ALLOWED_TWICE}
        expect(not twice, f"asked for more than once: {twice}")
        moved = {path for path in hits if path.startswith("/moved/")}
        wanted = {f"/p/{n}" for n in range(PAGES)} | set(ODD) - {"/private/a"} | {"/robots.txt"}
        expect(set(hits) - moved == wanted, f"asked for {set(hits) - moved ^ wanted}")
        expect("2 errors, 1 skipped" in said, f"the summary is {said!r}")

    def check_limits(self):
        with self.site() as site:
            lines, _ = self.crawl(*FAST, "--depth", 2, site.root + "/p/99")
            expect({line["depth"] for line in lines} == {0, 1, 2}, "--depth 2: other depths")
            lines, said = self.crawl(*FAST, "--max-pages", 7, site.root + "/p/99")
            expect(len(lines) == 7 and "beyond --max-pages" in said, f"--max-pages 7: {said}")
            lines, _ = self.crawl(*FAST, "--max-bytes", 20, site.root + "/p/1")
            expect(lines[0]["bytes"] == 20 and lines[0]["cut"], f"--max-bytes 20: {lines}")
            lines, _ = self.crawl(*FAST, "--depth", 0, "--list-links", site.root + "/p/1")
            expect(site.root + "/p/3" in lines[0]["to"], f"--list-links: {lines}")

    def check_further_pages(self):
        with self.site() as site:
            lines, _ = self.crawl(*FAST, "--sitemap", "--parts", "--depth", 1, site.start, status=1)
        found = {line["url"].removeprefix(site.root): line for line in lines}
        expect("/hidden" in found, "the page of the sitemap is missing")
        expect(found["/image.png"]["bytes"] == 4 and "/image3.png" in found, "parts are missing")

    def check_exit_codes(self):
        with self.site(1) as site:
            self.crawl(site.root + "/again", status=0)
            lines, said = self.crawl("http://127.0.0.1:1/", "--retries", 0, status=1)
            expect("Connection refused" in lines[0]["error"] and "1 error" in said, f"said {said}")
            _, said = self.crawl("--depth", "x", site.start, status=2)
            expect("--depth: \"x\" is not a number" in said, f"said {said}")
            _, said = self.crawl("--output", "/dev/full", *FAST, site.start, status=1)
            expect("write /dev/full: No space left on device" in said, f"said {said}")
            _, said = self.crawl(site.root + "/away")
            expect("--host elsewhere.invalid follows it" in said, f"a redirect said {said}")
            _, said = self.crawl("-q", site.root + "/again", status=0)
            expect(said == "", f"-q said {said}")
            help_text = subprocess.run([self.crawler, "--help"], stdout=subprocess.PIPE, text=True)
            expect(max(map(len, help_text.stdout.splitlines())) <= 80, "--help has long lines")

    def check_output_goes_on(self):
        """A file whose last line is torn, as a process that was killed leaves it."""
        with self.site(3) as site, tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "results")
            file.write_text('{"url":"http://x/"}\n{"url":"http://to')
            self.crawl("--output", file, site.root + "/again")
            lines = file.read_text().splitlines()
        expect(len(lines) == 3 and lines[1].endswith("http://to"), f"the file has {lines}")
        expect(json.loads(lines[2])["url"].endswith("/again"), f"the file has {lines}")

    def check_robots_statuses(self):
        """No robots.txt allows all; a server that fails to give it forbids all."""
        for status, is_allowed in ((404, True), (403, True), (503, False), (0, False)):
            with robots_server(status) as url:
                lines, _ = self.crawl(*FAST, url, status=0 if is_allowed else 1)
            expect(("status" in lines[0]) == is_allowed, f"robots.txt {status}: {lines}")
            expect(is_allowed or lines[0]["error"].startswith("robots.txt: "), f"{lines}")

    def check_interrupt(self):
        with self.site() as site:
            child = Child([self.crawler, "--delay", "0.05", site.start])
            try:
                wait_for_text(child, r"\n(.*)\n.*\n")
                began = time.monotonic()
                child.process.send_signal(signal.SIGINT)
                status = child.wait(5 * SLOWER, "SIGINT")
            finally:
                child.kill()
        expect(status == 130, f"SIGINT: status {status}{child.said()}")
        expect(time.monotonic() - began < 3 * SLOWER, "SIGINT: the end took long")
        lines = [json.loads(line) for line in child.text(child.out).splitlines()]
        said = child.text(child.err)
        expect(said.startswith("interrupted: ") and "not visited" in said, f"SIGINT: said {said}")
        expect(all("error" not in line for line in lines), "SIGINT: a visit was cut")

    def check_status_line(self):
        with self.site() as site:
            arguments = [self.crawler, "--delay", "0.01", "--max-pages", "40", site.start]
            began = time.monotonic()
            seen = on_terminal(arguments, {"TERM": "xterm"})
            took = time.monotonic() - began
            dumb = on_terminal([*arguments, "--delay", "0"], {"TERM": "dumb"})
        drawn = seen.count("\r\x1b[K") + seen.count("at work")
        expect(1 <= seen.count("at work") <= took * 10 + 1, f"drawn {drawn} times in {took} s")
        expect("\x1b" not in dumb and "pages" in dumb, f"TERM=dumb: {dumb!r}")

    def check_shared(self):
        """Three processes share a crawl. One after the other is killed, and started again."""
        pages = 20_000 if LONG else 1000
        with self.site(pages) as site, redis() as (folder, queue, _):
            files = [folder / f"results{n}" for n in range(3)]
            workers = [self.started(site, queue, file) for file in files]
            try:
                killed = self.kill_one_each_second(site, queue, files, workers)
            finally:
                for worker in workers:
                    worker.kill()
            hits = site.hits()
            lines = [line for file in files for line in parsed(file)]
            judge_results(lines, site, pages, may_repeat=True)
        repeated = len(lines) - len({line["url"] for line in lines})
        print(f"        {killed} killed: {len(lines)} results, {repeated} of them repeated, "
              f"{sum(hits.values())} requests")

    def kill_one_each_second(self, site, queue, files, workers):
        """Until all have ended by themselves. Gives how many were killed."""
        killed = 0
        give_up = time.monotonic() + (300 if LONG else 30) * SLOWER
        next_kill = time.monotonic() + 1
        while any(worker.process.poll() is None for worker in workers):
            if time.monotonic() > give_up:
                raise Failed(f"the crawl does not end{workers[0].said()}")
            time.sleep(0.02)
            running = [n for n, worker in enumerate(workers) if worker.process.poll() is None]
            if time.monotonic() < next_kill or not running or (killed >= 2 and not LONG):
                continue
            next_kill += 1
            victim = running[killed % len(running)]
            workers[victim].kill()
            workers[victim] = self.started(site, queue, files[victim])
            killed += 1
        for worker in workers:
            if worker.process.returncode not in (0, 1):  # 1: the pages that have no answer
                raise Failed(f"it ended with status {worker.process.returncode}{worker.said()}")
        expect(killed >= 2, f"only {killed} were killed: the crawl was too short")
        return killed

    def check_shared_interrupt(self):
        """Ctrl-C gives the pages back that a process had; another one goes on at once."""
        with self.site(60) as site, redis() as (folder, queue, _):
            files = [folder / f"results{n}" for n in range(2)]
            first = self.started(site, queue, files[0])
            try:
                wait_for_lines(files[0], 5)
                first.process.send_signal(signal.SIGINT)
                status = first.wait(8 * SLOWER, "SIGINT")
                expect(status == 130, f"SIGINT: status {status}{first.said()}")
            finally:
                first.kill()
            done = parsed(files[0])
            lines, said = self.crawl(*FAST, "--queue", queue, "-o", files[1], site.start, status=1)
            again = parsed(files[1])
            judge_results(done + again, site, 60)  # none twice: no visit was cut
            lines, said = self.crawl(*FAST, "--queue", queue, site.start)
            expect(not lines and "another crawl needs another name" in said, f"said {said}")
            with_limit = ["--queue", queue + "-small", "--max-pages", 3, site.root + "/p/9"]
            lines, said = self.crawl(*FAST, *with_limit)
            expect(3 <= len(lines) < 20 and "beyond --max-pages" in said, f"limit: {said}")
            self.crawl("--queue", "redis://127.0.0.1:1/x", site.start, status=1)
            self.crawl("--queue", "x", site.start, status=2)


    def check_shared_sitemap(self):
        """The visit that finds the sitemap is cancelled, as its process was stopped for longer than
        its lease. The same process visits the page again, and the sitemap is not forgotten."""
        with sitemap_server() as (url, asked), redis() as (folder, queue, _):
            shared = ["--lease", "1", "--queue", queue, "--sitemap", "-o", str(folder / "results")]
            worker = Child([self.crawler, *FAST, *shared, url])
            try:
                if not asked.wait(10 * SLOWER):
                    raise Failed(f"the page is not asked for{worker.said()}")
                worker.process.send_signal(signal.SIGSTOP)
                time.sleep(1.5)
                worker.process.send_signal(signal.SIGCONT)
                status = worker.wait(30 * SLOWER, "the visit")
            finally:
                worker.kill()
            expect(status == 0, f"it ended with status {status}{worker.said()}")
            found = sorted(line["url"].removeprefix(url) for line in parsed(folder / "results"))
            expect(found == ["", "hidden", "map.xml"], f"visited {found}{worker.said()}")

    def check_shared_outage(self):
        """Redis is silent for longer than any of its clients waits: the crawl goes on."""
        with self.site() as site, redis() as (folder, queue, server):
            file = folder / "results"
            worker = self.started(site, queue, file)
            try:
                wait_for_lines(file, 5)
                server.send_signal(signal.SIGSTOP)
                time.sleep(40)
                server.send_signal(signal.SIGCONT)
                status = worker.wait(60 * SLOWER, "the outage")
            finally:
                worker.kill()
            expect(status == 1, f"it ended with status {status}{worker.said()}")
            judge_results(parsed(file), site, PAGES, may_repeat=True)


def parsed(file):
    """The lines of a file, without one that was torn when its process was killed."""
    lines = []
    for text in file.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return lines


def wait_for_lines(file, count):
    give_up = time.monotonic() + 10 * SLOWER
    while not file.exists() or file.read_text().count("\n") < count:
        if time.monotonic() > give_up:
            raise Failed(f"{file} does not get {count} lines")
        time.sleep(0.01)


@contextlib.contextmanager
def redis():
    """A server of its own; gives its folder, the URL of a queue in it, and its process."""
    with tempfile.TemporaryDirectory(prefix="rondo-crawl-") as name:
        folder = pathlib.Path(name)
        path = folder / "redis.sock"
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(path),
                                   "--save", "", "--appendonly", "no"], cwd=folder,
                                  stdout=subprocess.DEVNULL)
        try:
            give_up = time.monotonic() + 10 * SLOWER
            while not path.exists():
                if server.poll() is not None or time.monotonic() > give_up:
                    raise Failed("redis-server does not listen")
                time.sleep(0.01)
            yield folder, f"unix://{path}#crawl", server
        finally:
            server.kill()
            server.wait()


def judge_results(lines, site, pages, may_repeat=False):
    """Fails unless each page has its line."""
    found = collections.Counter(line["url"].removeprefix(site.root) for line in lines)
    by_path = {line["url"].removeprefix(site.root): line for line in lines}
    repeated = [path for path, count in found.items() if count > 1]
    expect(may_repeat or not repeated, f"results more than once: {repeated[:5]}")
    missing = [n for n in range(pages) if f"/p/{n}" not in found]
    expect(not missing, f"{len(missing)} pages are missing: {missing[:5]}")
    for number in range(pages):
        line = by_path[f"/p/{number}"]
        expect(line.get("title") == f"page {number} <&>" and line["status"] == 200, f"{line}")
    expect(not any(path.startswith("/trap") for path in found), "in the trap")
    for path, wanted in ODD.items():
        expect(path in by_path, f"{path} is missing")
        for name, value in wanted.items():
            got = by_path[path].get(name)
            same = value in str(got) if name == "error" else got == value
            expect(same, f"{path}: {name} is {got!r}, not {value!r}")


@contextlib.contextmanager
def robots_server(status):
    """Answers robots.txt with this status (0: hangs up) and all else with a page."""

    class Pages(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            is_robots = self.path == "/robots.txt"
            if is_robots and status == 0:
                self.close_connection = True
                return
            self.send_response(status if is_robots else 200)
            self.send_header("content-length", "0")
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def sitemap_server():
    """A page that is not answered at first, and a sitemap with another page. Gives also the event
    that the page was asked for."""
    asked, ended = threading.Event(), threading.Event()

    class Pages(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path == "/" and not asked.is_set():
                asked.set()
                ended.wait()
                self.close_connection = True
                return
            bodies = {"/robots.txt": f"Sitemap: {url}map.xml\n",
                      "/map.xml": f"<urlset><url><loc>{url}hidden</loc></url></urlset>"}
            body = bodies.get(self.path, "<title>page</title>").encode()
            self.send_response(200)
            xml = self.path.endswith(".xml")
            self.send_header("content-type", "application/xml" if xml else "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield url, asked
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def on_terminal(command, environment):
    """Runs a command with a terminal as standard error; gives what the terminal got."""
    near, far = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=far, env={**os.environ, **environment})
    os.close(far)
    seen = b""
    give_up = time.monotonic() + 20 * SLOWER
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while time.monotonic() < give_up:
            if select.select([near], [], [], 0.1)[0]:
                seen += os.read(near, 65536)
    os.close(near)
    process.kill()
    process.wait()
    return seen.decode()


def main():
    arguments = argparse.ArgumentParser(description="runs the example crawler over a site")
    arguments.add_argument("--examples", type=pathlib.Path, required=True)
    arguments.add_argument("--programs", type=pathlib.Path, required=True)
    arguments.add_argument("only", nargs="*", help="parts of titles")
    given = arguments.parse_args()
    given.examples, given.programs = given.examples.absolute(), given.programs.absolute()
    if not (given.examples / "crawler").exists():
        skip("crawler", "the example is not built: it needs libgumbo-dev")
        return run([], "crawler")
    enter_own_network()
    driver = Driver(given)
    checks = [
        ("every page once, and no trap", driver.check_every_page),
        ("the same with one page in memory", lambda: driver.check_every_page("--queue-size", 1)),
        ("limits of depth, pages and bytes", driver.check_limits),
        ("sitemaps and parts of pages", driver.check_further_pages),
        ("exit codes, and results that cannot be written", driver.check_exit_codes),
        ("a file of results goes on after a torn line", driver.check_output_goes_on),
        ("statuses of robots.txt", driver.check_robots_statuses),
        ("Ctrl-C ends the visits at work, and says so", driver.check_interrupt),
        ("a status line on a terminal, and none elsewhere", driver.check_status_line),
    ]
    shared = [
        ("a crawl shared by three processes, of which one is killed each second",
         driver.check_shared),
        ("a shared crawl goes on after Ctrl-C", driver.check_shared_interrupt),
        ("a sitemap is not forgotten with a lost lease", driver.check_shared_sitemap),
    ]
    if LONG:
        shared.append(("a shared crawl survives an outage of Redis", driver.check_shared_outage))
    if missing := driver.lacks_redis():
        for title, _ in shared:
            skip(title, missing)
    else:
        checks += shared
    todo = [
        (f"crawler: {title}", check)
        for title, check in checks
        if not given.only or any(part in title for part in given.only)
    ]
    return run(todo, "crawler")


if __name__ == "__main__":
    sys.exit(main())
