# SPDX-License-Identifier: MIT
"""A headless Chromium, driven over --remote-debugging-pipe: no port, no library, no driver.

    with Browser(flags) as browser:
        page = browser.open("https://localhost:8084/")
        page.wait_for("document.title == 'chat'")
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from run_programs import SLOWER, Failed

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def find_browser():
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    def __init__(self, browser, target):
        self.browser = browser
        answer = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = answer["sessionId"]
        self.call("Page.enable")

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression):
        """The value of an expression of JavaScript, awaited if it is a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise Failed(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, condition, seconds=20):
        """Waits until a condition holds. The page may be loading: then it is asked again."""
        until = time.monotonic() + seconds * SLOWER
        while True:
            try:
                if self.evaluate(condition):
                    return
            except Failed:
                if time.monotonic() > until:
                    raise
            if time.monotonic() > until:
                raise Failed(f"{condition} did not come true; the page: "
                             + str(self.evaluate("document.body.innerText")))
            time.sleep(0.05)

    def screenshot(self, path, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        answer = self.call("Page.captureScreenshot", format="png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))


class Browser:
    def __init__(self, *flags):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        read_end, self.to = os.pipe()
        self.come, write_end = os.pipe()
        command = [
            find_browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions",
            f"--user-data-dir={self.profile.name}", "--remote-debugging-pipe", *flags,
            "about:blank",
        ]  # fmt: skip
        # The pipe is descriptors 3 and 4. A shell puts them there.
        script = f'exec 3<&{read_end} 4>&{write_end} {read_end}<&- {write_end}>&-; exec "$0" "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", script, *command], pass_fds=(read_end, write_end),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read_end)
        os.close(write_end)
        self.number = 0
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(5)
        except (Failed, OSError, subprocess.TimeoutExpired):
            pass
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.come)
        self.profile.cleanup()

    def call(self, method, session=None, **parameters):
        """Calls a method of the protocol, and gives its result. Events are dropped."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 30 * SLOWER
        while True:
            answer = self.next_message(until, method)
            if answer.get("id") != self.number:
                continue
            if "error" in answer:
                raise Failed(f"{method}: {answer['error']}")
            return answer["result"]

    def next_message(self, until, method):
        while b"\0" not in self.unread:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.come], [], [], left)[0]:
                raise Failed(f"the browser has not answered {method}")
            some = os.read(self.come, 1 << 16)
            if not some:
                raise Failed(f"the browser ended during {method}")
            self.unread += some
        text, _, self.unread = self.unread.partition(b"\0")
        return json.loads(text)

    def open(self, url):
        return Page(self, self.call("Target.createTarget", url=url)["targetId"])
