#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs rondo-get and the file server from outside, on loopback.

First the two with each other: every byte, connections that are used again, requests that must be
refused. Then rondo-get against an odd or hostile server in Python: chunked bodies, no length,
cut off, silent, endless headers, no HTTP at all, connections that are dead when they are used
again. After each run this checks the exit status, the output, that no sanitizer has reported, and
that nothing hidden is left. At the end nginx serves and curl requests; if one is not installed, the
check is counted as skipped. run_downloader_resume.py has what goes over several runs, and
run_downloader_terminal.py the display.

usage: run_downloader.py --examples FOLDER [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import contextlib
import hashlib
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

from downloader_tools import BODY, ServedFile, expect, main, wait_until
from run_programs import SLOWER, skip


# -- the tests -------------------------------------------------------------------------------------
def every_byte(test):
    """Files of all sizes from our own server; then again, over idle connections."""
    there = test.scratch / "there"
    there.mkdir()
    for number, size in enumerate([0, 1, 1000, 4096, 65536, 131072, 131073, 300_000, 5_000_000]):
        (there / f"{number}.bin").write_bytes(random.Random(number).randbytes(size))
    for number in range(100):
        (there / f"small_{number}").write_text(f"{number}\n")
    with test.file_server(there) as port:
        urls = "".join(f"http://127.0.0.1:{port}/{path.name}\n" for path in there.iterdir())
        listed = test.scratch / "list"
        listed.write_text("# a comment\n\n" + urls)
        for arguments in ["-j", "1"], ["-j", "16"], ["-j", "300", "--overwrite"]:
            if "--overwrite" not in arguments:
                for path in test.out.iterdir():
                    path.unlink()
            result = test.run(0, *arguments, "-i", str(listed))
            expect("109 files" in result.complained, result.all)
            expect("0 failed" in result.complained, result.all)
            expect(not result.said, "the standard output is for data")
            for path in there.iterdir():
                test.is_there(path.name, path.read_bytes())
        test.run(0, "--overwrite", "-i", "-", stdin=urls)


def ask(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=10 * SLOWER) as peer:
        peer.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := peer.recv(65536):
                answer += part
        return answer


def file_server_answers(test):
    """GET, HEAD, several requests in one segment, and what it refuses."""
    (test.out / "a.txt").write_bytes(b"hello")
    (test.out / "index.html").write_bytes(b"<p>")
    (test.out / "folder").mkdir()
    os.mkfifo(test.out / "fifo")
    (test.scratch / "secret").write_text("secret")
    with test.file_server(test.out) as port:
        def get(target, method="GET", more="Connection: close\r\n"):
            return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode()

        answer = ask(port, get("/a.txt"))
        expect(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        expect(answer.endswith(b"\r\n\r\nhello") and b"content-length: 5\r\n" in answer, answer)
        answer = ask(port, get("/a.txt", "HEAD"))
        expect(b"content-length: 5\r\n" in answer and answer.endswith(b"\r\n\r\n"), answer)
        answer = ask(port, get("/a.txt", more="") + get("/", more="") + get("/a.txt"))
        expect(answer.count(b"HTTP/1.1 200 OK") == 3 and answer.count(b"hello") == 2, answer)
        for target in "/none", "/folder/", "/fifo", "/../secret", "/%2e%2e/secret", "/.git":
            answer = ask(port, get(target))
            expect(answer.startswith(b"HTTP/1.1 404 "), f"{target}: {answer}")
        expect(ask(port, get("/a.txt", "POST")).startswith(b"HTTP/1.1 405 "), "POST")
        expect(ask(port, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 "), "nonsense")
        endless = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000
        expect(ask(port, endless).startswith(b"HTTP/1.1 431 "), "an endless head")
        idle = socket.create_connection(("127.0.0.1", port), timeout=10 * SLOWER)
        idle.sendall(b"GET /a")  # SIGINT comes in the middle of this request
    idle.close()


def odd_but_right(test):
    manners = "plain empty chunked until_close bytewise fades moved terse".split()
    test.get(0, *(f"{manner}/{manner}" for manner in manners))
    for manner in "plain chunked until_close fades moved".split():
        test.is_there(manner)
    test.is_there("terse", b"abc")
    test.is_there("empty", b"")
    test.is_there("bytewise", b"abc")


WRONG = {
    "truncated": "after 1000 of 300000 bytes",
    "truncated_chunks": "closed the connection",
    "missing": "404 Not Found",
    "moved_away": "a redirect to ftp: is not followed",
    "in_part": "206 Partial Content: this is not the file",
    "endless_head": "longer than 65536 bytes",
    "not_http": "does not speak HTTP/1",
    "two_lengths": "several content-length fields",
    "says_nothing": "without a response",
    "resets": "Connection reset by peer",
}


def each_wrong_alone(test):
    """Each has status 1 and a reason, and leaves no file."""
    for manner, reason in WRONG.items():
        result = test.get(1, f"{manner}/{manner}")
        expect(f"{manner}  failed: " in result.complained, result.all)
        expect(reason in result.complained, result.all)
        test.is_not_there(manner)


def the_others_go_on(test):
    """All wrong answers at once, and right ones between them, which arrive."""
    paths = []
    for number, manner in enumerate(WRONG):
        paths += [f"{manner}/{manner}", f"plain/right_{number}"]
    urls = ["ftp://a/", "http://127.0.0.1:1/refused", *map(test.odd.url, paths)]
    result = test.run(1, "-j", "8", *urls)
    expect("ftp is not supported" in result.complained, result.all)
    expect("Connection refused" in result.complained, result.all)
    expect(f"{len(WRONG) + 2} failed" in result.complained, result.all)
    for number in range(len(WRONG)):
        test.is_there(f"right_{number}")


def connections_are_used_again(test):
    test.run(0, "-j", "4", *(test.odd.url(f"plain/{number}") for number in range(40)))
    expect(test.odd.requests == 40, f"{test.odd.requests} requests")
    expect(test.odd.connections <= 4, f"{test.odd.connections} connections for 40 files")


def dead_when_used_again(test):
    """Each answer promises an open connection but closes it: every file is requested once more."""
    test.run(0, "-j", "2", *(test.odd.url(f"fades/{number}") for number in range(20)))
    for number in range(20):
        test.is_there(str(number))


def names(test):
    """Equal names get different files, and hostile names stay in the folder."""
    paths = ["plain/a", "chunked/a", "plain/..%2f..%2fb", "plain/.hidden", "plain/", "plain/%0ac"]
    result = test.get(0, *paths)
    for told in ".hidden is saved as _hidden", "a is saved as a.2: another URL has that name":
        expect(told in result.complained, result.all)
    test.is_alone("a", "a.2", "_._.._b", "_hidden", "index.html", "_c")
    expect({path.name for path in test.scratch.iterdir()} == {"out"}, "something is outside")


def names_that_users_and_servers_choose(test):
    test.run(0, "-o", "sub/.name", test.odd.url("plain/a"))
    test.is_there("sub/.name")
    test.run(0, "--content-disposition", test.odd.url("plain/a?x=1"))
    test.is_there("name.txt")
    listed = f"{test.odd.url('plain/b')} out=c\n{test.odd.url('plain/d')}\n out=.e\n"
    test.run(0, "-i", "-", stdin=listed)
    test.is_alone("sub", "name.txt", "c", "_e")


def nothing_is_overwritten(test):
    """A file that is complete is skipped, another one stays unless the user says so."""
    (test.out / "a").write_text("old")
    result = test.get(1, "plain/a", "plain/c")
    expect("a  failed: File exists" in result.complained, result.all)
    test.is_there("a", b"old")
    test.is_there("c")
    expect(sum(line.startswith(b"GET") for line in test.odd.heard) == 1, test.odd.heard)
    result = test.get(1, "plain/c")
    expect("c  failed: File exists, and nothing shows that it is" in result.complained, result.all)
    for validator in "etag", "date":
        file = ServedFile(BODY, validator)
        server = test.serve(d=file)
        test.run(0, server.url("d"))
        result = test.run(0, server.url("d"))
        expect("d  is there already, complete" in result.complained, result.all)
        file.change(BODY[::-1])
        result = test.run(1, server.url("d"))
        expect("d  failed: File exists, and " in result.complained, result.all)
        test.is_there("d")
        (test.out / "d").unlink()

    test.run(0, "--rename", test.odd.url("plain/a"))
    test.is_there("a", b"old")
    test.is_there("a.2")
    test.run(0, "--overwrite", test.odd.url("plain/a"))
    test.is_there("a")
    test.is_alone("a", "a.2", "c")


def other_mirrors_are_asked(test):
    """For what is told of a file too: one mirror is down, or silent, or busy for a moment."""
    server, silent = test.serve(a=BODY), test.serve(a=BODY)
    silent.unanswered = range(1, 100)
    test.run(0, server.url("a"))
    for first in "http://127.0.0.1:1/a", silent.url("a"), test.serve().url("a"):
        result = test.run(0, "--timeout", "10m", first + "|" + server.url("a"))
        expect("a  is there already, complete" in result.complained, result.all)
    server.busy = 1
    result = test.run(0, "-r1", server.url("a"))
    expect("a  is there already, complete" in result.complained, result.all)
    # Another mirror may call the file otherwise. Then its date counts.
    other = test.serve(a=ServedFile(BODY, "date"))
    test.run(0, "http://127.0.0.1:1/a|" + other.url("a"))
    other.files["a"].validator = "etag"
    other.files["a"].version = 2
    result = test.run(1, "http://127.0.0.1:1/a|" + other.url("a"))
    expect("nothing shows that it is the server's" in result.complained, result.all)
    test.run(0, "--timeout", "10m", "--content-disposition",
             silent.url("a") + "|" + test.odd.url("plain/x"))  # fmt: skip
    test.is_there("name.txt")


def encoded_though_not_asked(test):
    """It is saved as it comes, and told, except to a user who has asked for it."""

    class Encoded(ServedFile):
        def fields(self):
            return {**super().fields(), "Content-Encoding": "gzip"}

    server = test.serve(a=Encoded(BODY), plain=BODY, large=Encoded(BODY * 10))
    result = test.run(0, "--json", *map(server.url, server.files))
    for name in "a", "large":
        test.is_there(name, server.files[name].body)
        told = f"{name}: the server sends it encoded (gzip): it is saved as it comes"
        expect(result.complained.count(told) == 1, result.all)
    expect(result.complained.count("encoded") == 2, result.all)
    for end in result.objects():
        expect(end.get("encoding") == (None if "plain" in end["file"] else "gzip"), end)
    result = test.run(0, "--overwrite", "-H", "Accept-Encoding: gzip", server.url("a"))
    expect("encoded" not in result.complained, result.all)


def sums(test):
    right = hashlib.sha256(BODY).hexdigest()
    test.run(0, "--sha256", right, test.odd.url("plain/a"))
    expect(test.odd.requests == 1, "requests")
    test.run(0, "--sha256", right.upper(), test.odd.url("plain/a"))
    expect(test.odd.requests == 1, "a file whose sum is right is not asked for")
    result = test.run(1, "--sha256", "0" * 64, test.odd.url("plain/b"))
    expect(f"its SHA-256 is {right}" in result.complained, result.all)
    result = test.run(1, "--sha256", "0" * 64, test.odd.url("plain/a"))
    expect("File exists, and its SHA-256 is another one" in result.complained, result.all)
    test.is_alone("a")


def links_in_the_folder(test):
    """Neither the name nor the part is ever written through a link."""
    elsewhere = test.scratch / "elsewhere"
    elsewhere.write_text("mine")
    for name in "a", "b.part", "b.part.rondo-get", "c.part", "c.part.rondo-get":
        (test.out / name).symlink_to(elsewhere)
    os.mkfifo(test.out / "d.part")
    (test.out / "e.part").mkdir()
    os.link(elsewhere, test.out / "f.part")
    os.link(elsewhere, test.out / "f.part.rondo-get")
    result = test.run(1, *map(test.odd.url, [f"plain/{name}" for name in "abcdef"]))
    expect("a  failed: File exists, and is no ordinary file" in result.complained, result.all)
    for name in "bcdef":
        test.is_there(name)
    test.run(0, "--overwrite", test.odd.url("plain/a"))
    test.is_there("a")
    expect(not (test.out / "a").is_symlink(), "the link is there")
    expect(elsewhere.read_text() == "mine", "a link was followed")


def names_of_parts(test):
    """A URL that ends in .part is a name like any other."""
    test.get(0, "plain/a.iso", "plain/a.iso.part", "chunked/a.iso.part.part")
    for name in "a.iso", "a.iso.part", "a.iso.part.part":
        test.is_there(name)
    test.get(0, "plain/d.iso.part.rondo-get")  # would be the state of d.iso
    test.is_there("d.iso.part.rondo-get_")
    test.get(0, "plain/b.iso.part")
    test.get(0, "plain/b.iso")
    test.is_there("b.iso.part")


def files_of_the_user_in_the_way(test):
    """Only a state that a run has written is one of ours."""
    mine = ["a.part.rondo-get.new", "a.part.rondo-get", "b.part", "b.part.rondo-get.new"]
    for name in mine:
        (test.out / name).write_text("mine")
    server = test.serve(rate=4 << 20, a=BODY * 10, b=BODY * 10)
    for arguments in [], ["--overwrite"]:
        test.run(0, *arguments, *map(server.url, "ab"))
        for name in mine:
            expect((test.out / name).read_text() == "mine", f"{name} was changed")
        test.is_alone("a", "b", *mine)


def names_that_can_be_none(test):
    """Are told before the first byte, with one line."""
    (test.out / "sub").mkdir()
    wrong = {
        "x" * 256: "a name of 256 bytes is too long",
        "sub": "sub is a folder",
        "sub/" + "x" * 300: "a name of 300 bytes is too long",
    }
    for name, reason in wrong.items():
        for arguments in [], ["--overwrite"], ["--rename"]:
            result = test.run(2, *arguments, "-o", name, test.odd.url("plain/a"))
            expect(result.complained.startswith("rondo-get: --output: " + reason), result.all)
    for arguments in [], ["--overwrite"]:
        result = test.run(1, *arguments, test.odd.url("plain/sub"))
        expect("sub  failed: a folder has that name" in result.complained, result.all)
    expect(test.odd.requests == 0, test.odd.heard)
    test.run(0, "--rename", test.odd.url("plain/sub"))
    test.is_there("sub.2")


def reader_goes_away(test):
    """As in `rondo-get ... 2>&1 | head -1`: the next run completes the files."""
    urls = [test.odd.url(f"plain/{number}") for number in range(40)]
    process = test.start("-j", "2", *urls)
    process.stderr.readline()
    process.stdout.close()
    process.stderr.close()
    process.wait(timeout=60 * SLOWER)
    test.run(0, "--overwrite", *urls)
    for number in range(40):
        test.is_there(str(number))


def closed_streams(test):
    """A program that starts without standard streams never writes into a socket."""
    urls = [test.odd.url("plain/a"), test.odd.url("missing/b"), "ftp://x/"]
    for closed in [2], [1, 2], [0, 1, 2]:
        for arguments in ["-q"], ["-v", "--json"], []:
            def close(numbers=closed):
                for number in numbers:
                    os.close(number)

            command = test.command("--overwrite", *arguments, *urls)
            done = subprocess.run(command, timeout=60 * SLOWER, preexec_fn=close, check=False,
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)  # fmt: skip
            expect(done.returncode == 1, f"{closed} {arguments}: status {done.returncode}")
            test.is_there("a")
    odd = [line for line in test.odd.heard if not line.startswith((b"GET /", b"HEAD /"))]
    expect(not odd, f"the server got {odd}")


def usage(test):
    for arguments in [], ["-j", "0", "u"], ["--nonsense"], ["-i", str(test.scratch / "none")]:
        result = test.run(2, *arguments)
        expect(result.complained.startswith("rondo-get: ") and not result.said, result.all)
    expect(test.run(0, "--help").said.startswith("usage: rondo-get"), "--help")
    expect(test.run(0, "--version").said.startswith("rondo-get 0."), "--version")
    blocked = test.scratch / "file"
    blocked.write_text("")
    test.run(2, "-d", str(blocked), "http://a/")
    result = test.run(2, "-i", "-", stdin="http://a/ x\n")
    expect("the standard input: line 1" in result.complained, result.all)


def quiet(test):
    result = test.run(1, "-q", test.odd.url("plain/.a"), test.odd.url("missing/b"))
    expect(result.said == "" and result.complained == "b  failed: 404 Not Found\n", result.all)
    result = test.run(1, "-q", f"{test.odd.url('missing/c')}|{test.odd.url('says_nothing/c')}")
    expect(result.complained == "c  failed: 404 Not Found\n", result.all)


def json_lines(test):
    urls = [test.odd.url("plain/a"), test.odd.url("missing/b"), "ftp://me:secret@x/"]
    result = test.run(1, "-q", "--json", *urls)
    ends = {end["url"].rsplit("/", 1)[1]: end for end in result.objects()}
    expect(ends["a"]["status"] == "done" and ends["a"]["bytes"] == len(BODY), ends)
    expect(ends["a"]["file"] == str(test.out / "a"), ends)
    expect(ends["b"]["status"] == "failed" and ends["b"]["reason"] == "404 Not Found", ends)
    expect("ftp is not supported" in ends[""]["reason"], ends)
    expect("secret" not in result.all, result.all)
    with open("/dev/full", "w") as full:
        done = subprocess.run(test.command("--json", test.odd.url("plain/f")), stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
    expect(done.returncode == 1, done)
    expect("write to the standard output: No space left" in done.stderr, done)


def no_password_is_told(test):
    where = f"127.0.0.1:{test.odd.port}"
    urls = [f"http://me:secret@{where}/{path}" for path in ("plain/a", "missing/b", "begins/c")]
    process = test.start("-v", "-t", "0.3", "-u", "you:secret", *urls, "http://me:secret@ x/",
                         "http://me:secret@[x/", "http://me:a/secret@x/")  # fmt: skip
    result = test.end(process, 1)
    expect("secret" not in result.all, result.all)
    result = test.run(2, "-x", "me:secret@x:1", "http://x/")
    expect("secret" not in result.all, result.all)


def repeated(test):
    """A busy server is asked again, and a lost connection does not end the file."""
    began = time.monotonic()
    test.run(0, "-r", "2", test.odd.url("busy/a"))
    test.is_there("a")
    expect(time.monotonic() - began > 1.9, "Retry-After was not kept")
    result = test.run(1, "-v", "-r", "1", test.odd.url("truncated/b"))
    expect("again in " in result.complained and test.odd.requests == 5, result.all)
    # The same bytes again and again are no headway.
    test.run(1, "-r", "1", test.odd.url("cut/c"))
    expect(test.odd.requests == 7, f"{test.odd.requests} requests")


def limits(test):
    result = test.run(1, "--max-filesize", "1K", test.odd.url("plain/a"), test.odd.url("chunked/b"))
    for told in "a  failed: it has 293.0 KiB, and", "b  failed: it has more than":
        expect(f"{told} --max-filesize" in result.complained, result.all)
    result = test.run(1, "-t", "0.2", test.odd.url("hangs/a"))
    expect("timed out after 200ms" in result.complained, result.all)
    began = time.monotonic()
    test.run(0, "-l", "1M", test.odd.url("plain/a"), test.odd.url("plain/b"))
    expect(time.monotonic() - began > 0.4, "600 kB came in less than 0.4 s at 1 MiB/s")
    test.is_alone("a", "b")


def slow_servers(test):
    """Also if its bytes come a few at a time, which a patient run would collect."""
    server = test.serve(rate=3 << 20, a=bytes(9 << 20))
    server.step = 2048
    result = test.run(1, "-r", "0", "--low-speed", "4M:2", server.url("a"))
    expect("timed out" in result.complained, result.all)
    server.files["a"].change(bytes(1 << 20))
    test.run(0, "--low-speed", "512K:1", server.url("a"))
    test.is_there("a", bytes(1 << 20))


def times(test):
    server = test.serve(a=ServedFile(b"x", "date"))
    test.run(0, "--timestamps", server.url("a"))
    expect((test.out / "a").stat().st_mtime == 784111741, (test.out / "a").stat())
    expect("is there already" in test.run(0, server.url("a")).complained, "it is complete")
    server.files["a"].change(b"y")  # of the same length
    expect("File exists" in test.run(1, server.url("a")).complained, "it has changed")


def interrupted(test):
    """SIGINT while some downloads are done, some unfinished and some silent: status 130, and whole
    files alone have names."""
    urls = [test.odd.url(f"plain/{number}") for number in range(4)]
    for manner in "begins", "hangs":
        urls += [test.odd.url(f"{manner}/{manner}_{number}") for number in range(3)]
    process = test.start("-j", "20", "--per-host", "20", *urls)
    wait_until(lambda: len(test.names()) == 4, lambda: f"only {test.names()}")
    process.send_signal(signal.SIGINT)
    result = test.end(process, 130)
    expect("6 not finished" in result.complained, result.all)
    command = " ".join(test.command("-j", "20", "--per-host", "20", *urls)[1:])
    expect(f"to continue:  rondo-get {command}\n" in result.complained, result.all)
    test.is_alone("0", "1", "2", "3")


# -- real peers ------------------------------------------------------------------------------------
def random_files(folder):
    folder.mkdir()
    for number, size in enumerate([0, 1, 4096, 65537, 300_000, 5_000_000]):
        (folder / f"{number}.bin").write_bytes(random.Random(number).randbytes(size))
    return sorted(folder.iterdir())


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{
    access_log off; keepalive_requests 7; root {folder}/there;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{port}; {more} location /gone {{ return 410; }} }}
}}
"""


@contextlib.contextmanager
def nginx(test, more=""):
    """Serves test.scratch / "there" at the port that it gives; with more directives for the server,
    in which {other} is a port as well, the second that it gives."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    test.scratch.chmod(0o755)  # nginx that root has started serves as another user
    (test.scratch / "conf").write_text(NGINX.format(
        folder=test.scratch, port=ports[0], more=more.format(other=ports[1], folder=test.scratch)))
    command = [program, "-p", str(test.scratch), "-c", str(test.scratch / "conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as server:
        try:
            deadline = time.monotonic() + 10 * SLOWER
            while socket.socket().connect_ex(("127.0.0.1", ports[0])) != 0:
                expect(server.poll() is None, server.stderr.read())
                expect(time.monotonic() < deadline, "nginx does not listen")
                time.sleep(0.01)
            yield ports
        finally:
            server.terminate()
            server.communicate(timeout=10 * SLOWER)


def nginx_serves(test):
    """Compares every byte from nginx, which ends each connection after seven requests."""
    if not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        return skip("downloader: nginx_serves", "nginx is not installed")
    files = random_files(test.scratch / "there")
    with nginx(test) as (port, _):
        urls = [f"http://127.0.0.1:{port}/{path.name}" for path in files]
        test.run(0, "-j", "4", *urls)
        for path in files:
            test.is_there(path.name, path.read_bytes())
        for _ in range(4):  # connections that nginx closes are replaced
            test.run(0, "--overwrite", "-j", "2", *urls)
        result = test.run(1, f"http://127.0.0.1:{port}/gone/x", urls[0], "--overwrite")
        expect("410" in result.all, result.all)
    return None


def libraries_are_loaded_later(test):
    """Those of TLS and HTTP/2 are not loaded at the start, and work all the same."""
    if not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        return skip("downloader: libraries_are_loaded_later", "nginx is not installed")
    loaded = subprocess.run(["ldd", test.examples / "rondo-get"], stdout=subprocess.PIPE, text=True,
                            check=True).stdout  # fmt: skip
    if "librondo" not in loaded and platform.machine() == "x86_64":
        for name in "libssl", "libcrypto", "libnghttp2", "libidn2", "libzstd":
            expect(name not in loaded, loaded)
    files = random_files(test.scratch / "there")
    certificate = test.scratch / "certificate"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", test.scratch / "key",
         "-out", certificate], check=True, capture_output=True)  # fmt: skip
    secure = """listen 127.0.0.1:{other} ssl http2; ssl_certificate {folder}/certificate;
        ssl_certificate_key {folder}/key;"""
    with nginx(test, secure) as (_, port):
        urls = [f"https://localhost:{port}/{path.name}" for path in files]
        for version in "--http1.1", "--http2":
            test.run(0, "--overwrite", "--cacert", str(certificate), version, *urls)
            for path in files:
                test.is_there(path.name, path.read_bytes())
    return None


def curl_asks(test):
    """curl gets every byte from our own server, one file at a time and four at a time."""
    if not shutil.which("curl"):
        return skip("downloader: curl_asks", "curl is not installed")
    files = random_files(test.scratch / "there")
    with test.file_server(test.scratch / "there") as port:
        for parallel in [], ["--parallel", "--parallel-max", "4"]:
            command = ["curl", "-sS", "--fail", "--remote-name-all", *parallel]
            urls = [f"http://127.0.0.1:{port}/{path.name}" for path in files]
            done = subprocess.run([*command, *urls], cwd=test.out, timeout=60 * SLOWER,
                                  capture_output=True, check=False)  # fmt: skip
            expect(done.returncode == 0, done.stderr)
            for path in files:
                test.is_there(path.name, path.read_bytes())
        missing = subprocess.run(["curl", "-sS", "--fail", f"http://127.0.0.1:{port}/none"],
                                 timeout=60 * SLOWER, capture_output=True, check=False)  # fmt: skip
        expect(missing.returncode == 22 and b"404" in missing.stderr, missing)
    return None


TESTS = [
    every_byte, file_server_answers, odd_but_right, each_wrong_alone, the_others_go_on,
    connections_are_used_again, dead_when_used_again, names, names_that_users_and_servers_choose,
    nothing_is_overwritten, other_mirrors_are_asked, encoded_though_not_asked, sums,
    links_in_the_folder, names_of_parts, files_of_the_user_in_the_way, names_that_can_be_none,
    reader_goes_away, closed_streams, usage, quiet, json_lines, no_password_is_told, repeated,
    limits, slow_servers, times, interrupted, nginx_serves, libraries_are_loaded_later, curl_asks,
]  # fmt: skip

if __name__ == "__main__":
    sys.exit(main("runs rondo-get and the file server", "downloader", TESTS))
