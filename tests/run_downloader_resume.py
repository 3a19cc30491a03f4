#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs rondo-get over several runs: killed at random moments and continued, with the file on the
server changed in between; ranges and mirrors; states that do not fit; servers that die; a full
disk. In all cases a file that has its name is byte for byte the server's.

20 kills, with RONDO_LONG=1 200; a tenth of them with a changed file. The moments come from a seed
that is printed; RONDO_SEED repeats them. At the end curl, aria2c, wget2 and axel continue a file
that has changed; their results are printed and not judged. A missing one is counted as skipped.

usage: run_downloader_resume.py --examples FOLDER [NAME ...]
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from downloader_tools import ServedFile, expect, main, wait_until
from run_programs import SLOWER, skip

MIB = 1 << 20
SEED = int(os.environ.get("RONDO_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS = 200 if os.environ.get("RONDO_LONG") == "1" else 20
CHANCE = random.Random(SEED)


def body(size, seed=None):
    return random.Random(CHANCE.random() if seed is None else seed).randbytes(size)


def begin(test, name, *arguments, done=2):
    """Starts a download, waits until `done` states of it were saved, and kills it."""
    process = test.start(*arguments)
    part, state = test.out / f"{name}.part", test.out / f"{name}.part.rondo-get"
    seen = set()

    def saved():
        if state.exists():
            seen.add(state.stat().st_ino)
        return len(seen) >= done and part.exists()

    wait_until(saved, lambda: f"only {test.names()}")
    process.kill()
    process.communicate()


# -- killed and continued --------------------------------------------------------------------------
def killed_and_continued(test):
    """A file in one range, in three ranges, with two mirrors, with each kind of validator."""
    ways = [
        ("etag", []), ("date", ["-s3"]), ("etag", ["-s3"]), ("date", []), ("none", []),
        ("weak", ["-s3"]), ("etag", ["mirrors"]),
    ]  # fmt: skip
    kills = changes = continued = 0
    while kills < KILLS:
        validator, arguments = ways[kills % len(ways)]
        name = f"{kills}.bin"
        contents = body(CHANCE.randrange(4 * MIB, 6 * MIB))
        server = test.serve(rate=4 * MIB, **{name: ServedFile(contents, validator)})
        url = server.url(name)
        if arguments == ["mirrors"]:
            arguments = ["-s2"]
            url += "|" + server.url(name, "localhost")
        for _ in range(4):
            process = test.start(*arguments, url)
            time.sleep(CHANCE.uniform(0.02, 0.6))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            if (test.out / name).exists():  # it was quicker
                test.is_there(name, contents)
                (test.out / name).unlink()
            if kills % 10 == 5:
                changes += 1
                contents = body(len(contents) - CHANCE.choice([0, 0, 1000]))
                server.files[name].change(contents)
        if continued == 0 and validator in ("etag", "date"):  # by chance none had got so far
            begin(test, name, *arguments, url, done=1)
        server.rate = None
        result = test.run(0, "--json", *arguments, url)
        test.is_there(name, contents)
        continued += result.objects()[0]["resumed_at"] > 0
        (test.out / name).unlink()
        test.is_alone()
    expect(changes * 10 == KILLS, f"{changes} changes")
    expect(continued > 0, "no run has continued: the test is worth nothing")
    print(f"        {kills} kills, {changes} changed files, {continued} of the last runs continued")


def continued_by_ranges(test):
    """Only the missing bytes are asked for, and an unchanged file is continued after Ctrl-C too."""
    contents = body(8 * MIB)
    server = test.serve(rate=2 * MIB, a=contents)
    begin(test, "a", "-s2", server.url("a"))
    test.is_alone("a.part", "a.part.rondo-get")
    server.rate = MIB // 2
    process = test.start("-s2", server.url("a"))
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    result = test.end(process, 130)
    expect("to continue:  rondo-get" in result.complained, result.all)
    test.is_alone("a.part", "a.part.rondo-get")
    server.rate = None
    sent = server.sent
    result = test.run(0, "--json", "-s2", server.url("a"))
    test.is_there("a", contents)
    test.is_alone("a")
    end = result.objects()[0]
    expect(end["resumed_at"] + end["received"] == len(contents), end)
    expect(server.sent - sent < len(contents) - end["resumed_at"] + MIB, "more than was missing")
    expect(server.answers.get(200, 0) == 1, server.answers)


def changed_in_between(test):
    """Each kind of change: other bytes, longer, shorter, gone."""
    sizes = 3 * MIB, 4 * MIB, 2 * MIB, 1000
    for validator in "etag", "date", "none":
        for size in sizes if validator == "etag" else sizes[:1]:
            server = test.serve(rate=2 * MIB, a=ServedFile(body(3 * MIB), validator))
            if validator == "none":
                process = test.start(server.url("a"))
                time.sleep(0.1 * SLOWER)
                process.kill()
                process.communicate()
                test.is_alone()  # what cannot be continued is not kept
            else:
                begin(test, "a", server.url("a"), done=1)
            server.rate = None
            contents = body(size)
            server.files["a"].change(contents)
            test.run(0, server.url("a"))
            test.is_there("a", contents)
            test.is_alone("a")
            (test.out / "a").unlink()
    server = test.serve(rate=2 * MIB, a=body(3 * MIB))
    begin(test, "a", server.url("a"), done=1)
    file = server.files.pop("a")
    test.run(1, server.url("a"))
    test.is_alone("a.part", "a.part.rondo-get")  # it may come back
    server.files["a"] = file
    test.run(0, server.url("a"))
    test.is_there("a", file.body)


def changes_while_it_is_downloaded(test):
    """Ranges of two versions are never put together."""
    old, new = body(8 * MIB), body(8 * MIB)
    server = test.serve(rate=2 * MIB, a=old)
    # Two ranges at a time of a file that is cut into four: those that are asked for later are of
    # the new version.
    process = test.start("-s4", "--per-host", "2", server.url("a"))
    wait_until(lambda: server.sent > MIB, "nothing is sent")
    server.files["a"].change(new)
    server.rate = None
    result = test.end(process, 0)
    test.is_there("a", new)
    expect("the file on the server has changed: it is downloaded anew" in result.complained,
           result.all)  # fmt: skip


def long_name(test):
    """The longest name that there is leaves no room for those of the part."""
    server = test.serve(rate=2 * MIB, a=body(3 * MIB))
    name, part = "x" * 255, "x" * 200
    begin(test, part, "-o", name, server.url("a"), done=1)
    test.is_alone(part + ".part", part + ".part.rondo-get")
    server.rate = None
    result = test.run(0, "--json", "-o", name, server.url("a"))
    expect(result.objects()[0]["resumed_at"] > 0, result.all)
    test.is_there(name, server.files["a"].body)
    test.is_alone(name)


def no_continue(test):
    server = test.serve(rate=2 * MIB, a=body(3 * MIB))
    begin(test, "a", server.url("a"), done=1)
    server.rate = None
    result = test.run(0, "--json", "--no-continue", server.url("a"))
    expect(result.objects()[0]["resumed_at"] == 0, result.all)
    test.is_there("a", server.files["a"].body)
    test.is_alone("a")


def among_many_files(test):
    """With many files, the folder is looked through once for what is left of any."""
    small = {f"small{number}": b"x" * 1000 for number in range(40)}
    server = test.serve(rate=2 * MIB, a=body(3 * MIB), **small)
    begin(test, "a", server.url("a"), done=1)
    server.rate = None
    urls = [server.url(name) for name in [*small, "a"]]
    result = test.run(0, "--json", *urls)
    ends = {end["url"]: end for end in result.objects()}
    expect(ends[server.url("a")]["resumed_at"] > 0, result.all)
    test.is_there("a", server.files["a"].body)
    test.is_alone("a", *small)
    # A state that has lost its part, which a killed run may leave, is removed.
    for name in small:
        (test.out / name).unlink()
    (test.out / "small7.part.rondo-get").write_text(
        f"rondo-get 1\nurl {server.url('small7')}\netag \"v1\"\nlength 1000\ninode 1\n"
        "done 0-10\nend .\n")  # fmt: skip
    test.run(0, *(server.url(name) for name in small))
    test.is_alone("a", *small)


def two_runs(test):
    """A part that a run writes is left to it."""
    server = test.serve(rate=MIB, a=body(3 * MIB))
    first = test.start(server.url("a"))
    wait_until(lambda: "a.part" in test.names(), "no part")
    result = test.run(1, server.url("a"))
    expect("another run downloads it: a.part is locked" in result.complained, result.all)
    server.rate = None
    test.end(first, 0)
    test.is_there("a", server.files["a"].body)
    test.is_alone("a")


def part_with_the_name_of_another_file(test):
    """The part of `a` would be called as `a.part` is."""
    server = test.serve(rate=8 * MIB, **{"a": body(6 * MIB), "a.part": body(2 * MIB)})
    for arguments in [], ["--overwrite"]:
        test.run(0, *arguments, *map(server.url, server.files))
        for name, file in server.files.items():
            test.is_there(name, file.body)
        test.is_alone("a", "a.part")
        (test.out / "a").unlink()
        (test.out / "a.part").unlink()


def part_that_is_replaced(test):
    """Another program puts a file in the place of the part: it is neither used nor removed."""
    server = test.serve(rate=4 * MIB, a=body(3 * MIB))
    process = test.start(server.url("a"))
    wait_until(lambda: "a.part" in test.names(), "no part")
    (test.out / "mine").write_bytes(b"mine")
    (test.out / "mine").rename(test.out / "a.part")
    result = test.end(process, 1)
    expect("a  failed: " in result.complained, result.all)
    test.is_there("a.part", b"mine")
    test.is_alone("a.part")


# -- parts and states that do not fit --------------------------------------------------------------
def states_that_do_not_fit(test):
    """The part begins with wrong bytes: they must not be used, and must not be in the way."""
    contents = body(2 * MIB)
    server = test.serve(a=contents)
    part, state = test.out / "a.part", test.out / "a.part.rondo-get"

    def text(url=server.url("a"), etag='etag "v1"\n', length=len(contents), done="0-1000000",
             inode=None):  # fmt: skip
        inode = part.stat().st_ino if inode is None else inode
        return (f"rondo-get 1\nurl {url}\n{etag}length {length}\ninode {inode}\n"
                f"done {done}\nend .\n")  # fmt: skip

    cases = {
        "another URL": lambda: text(url=server.url("b")),
        "another file": lambda: text(etag='etag "v0"\n'),
        "another length": lambda: text(length=3 * MIB),
        "another part": lambda: text(inode=1),
        "more than there is": lambda: text(done="0-1500000"),
        "more than the file has": lambda: text(done=f"0-{len(contents) + 1}"),
        "no validator": lambda: text(etag=""),
        "empty": lambda: "",
        "cut": lambda: text()[:-7],
        "garbage": lambda: "\0\xff" * 1000,
        "endless": lambda: text() + "x" * 10_000_000,
    }
    for what, make in cases.items():
        part.write_bytes(b"wrong" * 250_000)
        state.write_text(make())
        test.run(0, server.url("a"))
        expect((test.out / "a").read_bytes() == contents, f"{what}: wrong bytes")
        expect(test.names() == {"a"}, f"{what}: left {test.names()}")
        (test.out / "a").unlink()
    # Without a state it belongs to others: it stays, and is no part of ours.
    part.write_bytes(b"mine")
    server.rate = 8 * MIB
    begin(test, "a", server.url("a"), done=0)
    result = test.run(0, server.url("a"))
    test.is_there("a", contents)
    test.is_alone("a", "a.part")
    expect(part.read_bytes() == b"mine", "a file that is not ours was changed")
    # A state without a part is removed, if it is one of ours.
    for contents, is_kept in {text(inode=1): False, "mine": True}.items():
        part.unlink(missing_ok=True)
        state.write_text(contents)
        test.run(0, "--overwrite", server.url("a"))
        test.is_alone("a", *[state.name] * is_kept)


def wrong_part_with_a_sum(test):
    """A part that was changed in place cannot be recognized, except by the sum of the whole."""
    contents = body(3 * MIB)
    server = test.serve(rate=2 * MIB, a=contents)
    begin(test, "a", server.url("a"), done=1)
    with (test.out / "a.part").open("r+b") as part:
        part.write(b"wrong")
    server.rate = None
    right = hashlib.sha256(contents).hexdigest()
    result = test.run(0, "--json", "--sha256", right, server.url("a"))
    test.is_there("a", contents)
    expect("its SHA-256 is another one: it is downloaded anew" in result.complained, result.all)
    test.is_alone("a")


# -- ranges and mirrors ----------------------------------------------------------------------------
def ranges(test):
    contents = body(9 * MIB + 123)
    server = test.serve(a=contents, small=body(100_000), none=b"")
    for count in 1, 2, 5, 64:
        test.run(0, "-s", str(count), "--per-host", "64", *map(server.url, ["a", "small", "none"]))
        test.is_there("a", contents)
        test.is_there("small", server.files["small"].body)
        for name in "a", "small", "none":
            (test.out / name).unlink()
    server.files["a"].ranges = False  # and says so
    test.run(0, "-s4", server.url("a"))
    test.is_there("a", contents)


def ranges_that_are_ignored(test):
    """A server that promises ranges and sends whole files."""

    class Liar(ServedFile):
        def fields(self):
            return {**super().fields(), "Accept-Ranges": "bytes"}

    contents = body(6 * MIB)
    server = test.serve(rate=32 * MIB, a=Liar(contents, ranges=False))
    result = test.run(0, "-s4", server.url("a"))
    test.is_there("a", contents)
    expect("the server sends no ranges" in result.complained, result.all)


def ranges_that_lie(test):
    """No bytes, another number of bytes, bytes behind the range that is told: no file."""

    class Empty(ServedFile):
        def part(self, first, last):
            return {**super().part(first, last)[0], "Content-Length": 0}, b""

    class Long(ServedFile):
        def part(self, first, last):
            fields, contents = super().part(first, last)
            return {**fields, "Content-Range": f"bytes {first}-{first}/{len(self.body)}"}, contents

    server = test.serve(empty=Empty(body(4 * MIB)), long=Long(body(4 * MIB)))
    result = test.run(1, "-s2", *map(server.url, server.files))
    test.is_alone("empty.part", "empty.part.rondo-get", "long.part", "long.part.rondo-get")
    expect("206 Partial Content: this is not the file" in result.complained, result.all)


def validators_that_alternate(test):
    """Several servers of one name: without ranges the file arrives."""

    class Balanced(ServedFile):
        def fields(self):
            self.version = 3 - self.version
            return super().fields()

    server = test.serve(a=Balanced(body(8 * MIB)))
    test.run(0, "-s4", server.url("a"))
    test.is_there("a", server.files["a"].body)


def mirror_that_is_gone(test):
    """Bytes that no other mirror can complete are given up, once another one sends the file."""
    gone, other = test.serve(rate=8 * MIB, a=body(3 * MIB)), test.serve(a=body(3 * MIB))
    other.files["a"].version = 2
    begin(test, "a", gone.url("a"), done=1)
    gone.close()
    test.run(1, gone.url("a") + "|" + other.url("b"))
    test.is_alone("a.part", "a.part.rondo-get")
    test.run(0, gone.url("a") + "|" + other.url("a"))
    test.is_there("a", other.files["a"].body)
    test.is_alone("a")


def mirrors(test):
    """Used together if they have one file; otherwise one after the other."""
    contents = body(6 * MIB)
    one = test.serve(rate=8 * MIB, a=contents)
    two = test.serve(rate=8 * MIB, a=contents)
    urls = f"{one.url('a')}|{two.url('a')}"
    test.run(0, urls)
    test.is_there("a", contents)
    expect(one.sent > 0 and two.sent > 0, f"{one.sent} and {two.sent} bytes")
    (test.out / "a").unlink()

    other = test.serve(a=body(6 * MIB))
    other.files["a"].version = 2
    test.run(0, f"{one.url('a')}|{other.url('a')}")  # another file: not used
    expect((test.out / "a").read_bytes() in (contents, other.files["a"].body), "a mix")
    (test.out / "a").unlink()

    result = test.run(0, f"{one.url('none')}|http://127.0.0.1:1/a|{one.url('a')}", "-o", "a")
    test.is_there("a", contents)
    (test.out / "a").unlink()
    # With a sum even a mirror that calls the file otherwise takes part; a mix that is wrong is
    # found out.
    right = hashlib.sha256(contents).hexdigest()
    result = test.run(0, "--sha256", right, f"{one.url('a')}|{other.url('a')}")
    test.is_there("a", contents)
    expect("its SHA-256 is another one: it is downloaded anew, from one server" in
           result.complained, result.all)  # fmt: skip
    # The mirror that is asked first may be the wrong one.
    for size in 1000, 4 * MIB:
        right = hashlib.sha256(body(size, 1)).hexdigest()
        wrong, good = test.serve(a=body(size, 2)), test.serve(a=body(size, 1))
        test.run(0, "--overwrite", "--sha256", right, f"{wrong.url('a')}|{good.url('a')}")
        test.is_there("a", body(size, 1))


def mirrors_that_hold_up_the_end(test):
    """A mirror never answers, stops in the middle, is slow, or forgets one connection of several:
    the tasks that have nothing to do any more fetch what it holds."""
    contents = body(6 * MIB)
    fast, stalled = test.serve(rate=64 * MIB, a=contents), test.serve(a=contents)
    slow, uneven = test.serve(rate=16 * 1024, a=contents), test.serve(rate=64 * MIB, a=contents)
    stalled.stalls_after = MIB
    uneven.unanswered = (3,)
    cases = {
        "silent": [test.odd.url("hangs/a") + "|" + fast.url("a")],
        "silent, the second": [fast.url("a") + "|" + test.odd.url("hangs/a")],
        "silent, more ranges": ["-s6", fast.url("a") + "|" + test.odd.url("hangs/a")],
        "stalled": [stalled.url("a") + "|" + fast.url("a")],
        "slow": [slow.url("a") + "|" + fast.url("a")],
        "slow, more ranges": ["-s4", fast.url("a") + "|" + slow.url("a")],
        "one connection": ["-s4", uneven.url("a")],
    }
    for what, arguments in cases.items():
        # A run that waits for the limit of time, or for the slow server, is ended by Test.end().
        result = test.run(0, "--json", "--timeout", "10m", *arguments)
        expect((test.out / "a").read_bytes() == contents, f"{what}: wrong bytes")
        end = result.objects()[0]
        expect(end["received"] == end["bytes"] == len(contents), f"{what}: {end}")
        (test.out / "a").unlink()
    # A short file is asked for a second time as well.
    short = body(MIB + MIB // 2)
    slow.files["b"], fast.files["b"] = ServedFile(short), ServedFile(short)
    test.run(0, slow.url("b") + "|" + fast.url("b"))
    test.is_there("b", short)


def mirrors_that_stutter(test):
    """Tasks share segments and cut them: each byte is right, and counts once."""
    for _ in range(100 if KILLS > 20 else 6):
        contents = body(CHANCE.randrange(MIB, 5 * MIB))
        chance = random.Random(CHANCE.random())
        servers = [test.serve(a=contents) for _ in range(2)]
        for server in servers:
            server.pauses = lambda c=chance: c.uniform(0.2, 0.7) if c.random() < 0.02 else 0
        urls = "|".join(server.url("a") for server in servers)
        result = test.run(0, "--json", "-s", CHANCE.choice("234"), urls)
        test.is_there("a", contents)
        end = result.objects()[0]
        expect(end["received"] == end["bytes"] == len(contents), end)
        (test.out / "a").unlink()


def server_that_dies(test):
    """Connections break, new ones are refused, then it is there again."""
    contents = body(4 * MIB)
    for arguments in [], ["-s3"]:
        server = test.serve(rate=8 * MIB, a=contents, b=body(MIB))
        server.dies_after = 2 * MIB
        result = test.run(0, "-v", "-r4", "--json", *arguments, *map(server.url, "ab"))
        test.is_there("a", contents)
        expect("again in " in result.complained, result.all)
        expect(server.answers.get(206, 0) > 0, f"not continued: {server.answers}")
        for name in "ab":
            (test.out / name).unlink()


# -- disks -----------------------------------------------------------------------------------------
def full_disk(test):
    """A tmpfs of 1 MiB: a file that cannot fit fails at once, one of unknown length when all is
    written that fits, and others arrive."""
    disk = test.scratch / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)],
                             capture_output=True, check=False)  # fmt: skip
    if mounted.returncode != 0:
        return skip("downloader_resume: full_disk", "mount is not allowed")
    try:
        test.out = disk
        small, large = body(100_000), body(3 * MIB)
        server = test.serve(small=small, large=large, unknown=ServedFile(large))
        server.files["unknown"].length = False
        result = test.run(1, "-j1", "--json", *map(server.url, ["large", "small", "unknown"]))
        expect("large  failed: no space for large: 3.0 MiB are needed, 1.0 MiB are free" in
               result.complained, result.all)  # fmt: skip
        expect("unknown  failed: write unknown: No space left on device" in result.complained,
               result.all)  # fmt: skip
        expect(result.objects()[0]["received"] == 0, "large was downloaded")
        test.is_there("small", small)
        test.is_alone("small")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return None


# -- the others ------------------------------------------------------------------------------------
OTHERS = {
    "curl": ["curl", "-sS", "-C", "-", "-o", "a"],
    "aria2c": ["aria2c", "-q", "-c", "-x1", "-s1", "--file-allocation=none", "-o", "a"],
    "wget2": ["wget2", "-q", "-c", "--tries=1"],
    "axel": ["axel", "-q", "-n1", "-o", "a"],
    "rondo-get": ["rondo-get", "-q", "-o", "a"],
}


def side_by_side(test):
    """The file changes between two runs, and keeps its length: who ends with whose bytes."""
    for name, command in OTHERS.items():
        if name == "rondo-get":
            command = [str(test.examples.resolve() / "rondo-get"), *command[1:]]
        elif not shutil.which(name):
            skip(f"downloader_resume: side_by_side, {name}", "it is not installed")
            continue
        folder = pathlib.Path(tempfile.mkdtemp(dir=test.scratch))
        old, new = body(4 * MIB), body(4 * MIB)
        server = test.serve(rate=2 * MIB, a=old)
        first = subprocess.Popen([*command, server.url("a")], cwd=folder, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        wait_until(lambda server=server: server.sent > MIB, "nothing is sent")
        first.send_signal(signal.SIGINT)  # all of them save what they have
        first.wait(timeout=30 * SLOWER)
        server.rate = None
        server.files["a"].change(new)
        second = subprocess.run([*command, server.url("a")], cwd=folder, timeout=60 * SLOWER,
                                stdin=subprocess.DEVNULL, capture_output=True,
                                check=False)  # fmt: skip
        file = folder / "a"
        got = file.read_bytes() if file.exists() else None
        verdict = "the new file" if got == new else "no file" if got is None else "WRONG BYTES"
        print(f"        {name:10} exit {second.returncode:3}  {verdict}")
        if name == "rondo-get":
            expect(second.returncode == 0 and got == new, second)


TESTS = [
    killed_and_continued, continued_by_ranges, changed_in_between,
    changes_while_it_is_downloaded, long_name, no_continue, among_many_files, two_runs,
    part_with_the_name_of_another_file, part_that_is_replaced,
    states_that_do_not_fit, wrong_part_with_a_sum, ranges, ranges_that_are_ignored,
    ranges_that_lie, validators_that_alternate, mirror_that_is_gone, mirrors,
    mirrors_that_hold_up_the_end, mirrors_that_stutter, server_that_dies, full_disk, side_by_side,
]  # fmt: skip

if __name__ == "__main__":
    print(f"moments from RONDO_SEED={SEED}", flush=True)
    sys.exit(main("runs rondo-get over several runs", "downloader_resume", TESTS))
