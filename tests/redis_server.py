# SPDX-License-Identifier: MIT
"""A redis-server of a test's own, on a Unix socket in a temporary folder, and a client of few lines
to look at it. It keeps nothing on disk unless it is told to."""

import contextlib
import pathlib
import shutil
import signal
import socket
import time

from run_programs import SLOWER, Child, Failed


def binary():
    """redis-server, or the same of Valkey; None if neither is installed."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


class Redis:
    def __init__(self, folder, *options):
        self.folder = pathlib.Path(folder)
        self.path = self.folder / "redis.sock"
        self.options = options
        self.server = None
        self.password = None

    @property
    def url(self):
        return f"unix://{self.path}"

    def start(self):
        command = [
            binary(), "--port", "0", "--unixsocket", str(self.path), "--save", "",
            "--dir", str(self.folder), "--daemonize", "no", "--appendonly", "no", *self.options,
        ]  # fmt: skip
        self.path.unlink(missing_ok=True)  # of a server that was killed
        self.server = Child(command)
        give_up = time.monotonic() + 30 * SLOWER
        while not self.answers():
            if self.server.process.poll() is not None or time.monotonic() > give_up:
                raise Failed(f"redis-server does not serve{self.server.said()}")
            time.sleep(0.01)
        return self

    def answers(self):
        with contextlib.suppress(OSError):
            return self.ask("PING") == "PONG"
        return False

    def kill(self):
        """As a crash: nothing is saved."""
        self.server.kill()

    def stop(self):
        self.server.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.server.process.send_signal(signal.SIGCONT)

    def ask(self, *words):
        """One command on a connection of its own. Gives the reply, or the text of an error."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20 * SLOWER)
            peer.connect(str(self.path))
            login = self.encoded("AUTH", self.password) if self.password else b""
            peer.sendall(login + self.encoded(*words))
            with peer.makefile("rb") as replies:
                if login:
                    self.read(replies)
                return self.read(replies)

    def encoded(self, *words):
        parts = [str(word).encode() for word in words]
        lengths = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        return b"*%d\r\n" % len(parts) + lengths

    def read(self, replies):
        line = replies.readline().decode().rstrip("\r\n")
        kind, rest = line[:1], line[1:]
        if kind == "$":
            return None if rest == "-1" else replies.read(int(rest) + 2)[:-2].decode()
        if kind == "*":
            return None if rest == "-1" else [self.read(replies) for _ in range(int(rest))]
        return int(rest) if kind == ":" else rest


@contextlib.contextmanager
def running(folder, *options):
    """A server during the block."""
    redis = Redis(folder, *options)
    try:
        yield redis.start()
    finally:
        if redis.server is not None:
            redis.server.kill()
