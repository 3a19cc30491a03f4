#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks the server of librondo-http by clients that others have written: curl, nghttp, h2load and
Node's http2, over HTTP/1.1, over HTTP/2 without TLS, and over HTTP/2 with TLS.

A hundred requests (methods, bodies, replies, sizes, statuses) get the same answers over each. If a
peer is not installed, a line names it as skipped.

usage: run_http_server_peers.py --server PROGRAM
Exit status 0 or 1; the last line is "N passed, N failed", and the numbers are added to the file
that RONDO_TALLY names.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # no __pycache__ in the checkout

from run_programs import (  # noqa: E402
    SLOWER,
    Child,
    Failed,
    certificates,
    end_by_sigint,
    enter_own_network,
    run,
    skip,
    wait_for_port,
)

PORT = 8161
PLAIN = f"http://localhost:{PORT}"
SECURE = f"https://localhost:{PORT + 1}"
FILE = bytes(b"a line of the file\n" * 5000)
# Fields of a connection, and those that differ with every answer.
LEFT_OUT = {"date", "connection", "keep-alive", "transfer-encoding", "last-modified", "etag"}

NODE_CLIENT = """
const http2 = require('http2'), fs = require('fs');
const [url, authority, list] = process.argv.slice(2);
const requests = JSON.parse(fs.readFileSync(list));
const session = http2.connect(url, {ca: fs.readFileSync(authority)});
session.on('error', (e) => { console.error(e); process.exit(1); });
let left = requests.length;
const results = [];
requests.forEach(([method, path, size], index) => {
  const stream = session.request({':method': method, ':path': path, 'cookie': 'a=1; b=2'},
                                 {endStream: size === 0});
  const fields = [], pieces = [];
  stream.on('response', (headers) => {
    for (const name in headers) fields.push([name, String(headers[name])]);
  });
  stream.on('data', (piece) => pieces.push(piece));
  stream.on('error', (e) => { console.error(path, e); process.exit(1); });
  stream.on('end', () => {
    results[index] = [fields, Buffer.concat(pieces).toString('latin1')];
    if (--left === 0) {
      session.close();
      console.log(JSON.stringify(results));
    }
  });
  if (size !== 0) stream.end(Buffer.alloc(size, 'b'));
});
"""


def requests():
    """A hundred of them: method, path, size of the body."""
    all_of_them = []
    methods = ("GET", "HEAD", "POST", "PUT", "DELETE")
    replies = [("text", 0), ("text", 5), ("text", 100000), ("stream", 0), ("stream", 100000),
               ("sized", 20000), ("file", 0)]
    statuses = (200, 201, 404, 500, 204, 304)
    for index in range(97):
        method = methods[index % len(methods)]
        kind, size = replies[index % len(replies)]
        status = statuses[index // 7 % len(statuses)]
        body = 0 if method in ("GET", "HEAD") else (0, 10, 300000)[index // 5 % 3]
        all_of_them.append((method, f"/made/{kind}/{status}/{size}?n={index}", body))
    all_of_them += [("GET", "/none", 0), ("PATCH", "/hello", 10), ("OPTIONS", "/hello", 0)]
    return all_of_them


def sorted_answer(status, fields, body):
    kept = sorted((name, value) for name, value in fields if name not in LEFT_OUT)
    return (status, kept, body)


def curl_config(folder, url, index, options):
    """Lines for one request."""
    method, path, size = requests()[index]
    lines = [
        f'url = "{url}{path}"',
        f'output = "{folder}/body{index}"',
        f'dump-header = "{folder}/head{index}"',
        f'cacert = "{certificates()[2]}"',
        'write-out = "%{http_version}\\n"',
        'header = "cookie: a=1; b=2"',
        'header = "expect:"',
        "silent",
        "show-error",
        *(option.replace("--", "") for option in options),
        "head" if method == "HEAD" else f'request = "{method}"',
    ]
    if size:
        upload = folder / f"upload{size}"
        upload.write_bytes(b"b" * size)
        lines += [f'data-binary = "@{upload}"']
    (folder / f"body{index}").write_bytes(b"")
    return lines


def run_curl(folder, url, indices, options):
    """Returns: the versions that it spoke."""
    each = ["\n".join(curl_config(folder, url, index, options)) for index in indices]
    (folder / "config").write_text("\nnext\n".join(each))
    child = Child(["curl", "--config", str(folder / "config")])
    status = child.wait(30 * SLOWER, "its start")
    if status != 0:
        raise Failed(f"curl {options} ended with status {status}{child.said()}")
    return set(child.text(child.out).split())


def curl_answer(folder, index):
    head = (folder / f"head{index}").read_bytes().decode("latin1")
    lines = head.split("\r\n\r\n")[-2].split("\r\n")
    fields = [each.split(": ", 1) for each in lines[1:]]
    is_head = requests()[index][0] == "HEAD"
    body = b"" if is_head else (folder / f"body{index}").read_bytes()
    status = int(lines[0].split()[1])
    return sorted_answer(status, [(name.lower(), value) for name, value in fields], body)


def ask_curl(folder, url, *options):
    """The answers to all requests, over one connection, and the versions that were spoken."""
    everything = range(len(requests()))
    versions = run_curl(folder, url, everything, options)
    return [curl_answer(folder, index) for index in everything], versions


def ask_node(folder, url):
    (folder / "client.js").write_text(NODE_CLIENT)
    (folder / "requests.json").write_text(json.dumps(requests()))
    child = Child(["node", str(folder / "client.js"), url, certificates()[2],
                   str(folder / "requests.json")])
    status = child.wait(30 * SLOWER, "its start")
    if status != 0:
        raise Failed(f"node ended with status {status}{child.said()}")
    answers = []
    for fields, body in json.loads(child.text(child.out)):
        of_head = dict(fields)
        status = int(of_head.pop(":status"))
        answers.append(sorted_answer(status, of_head.items(), body.encode("latin1")))
    return answers


def must_agree(name, answers, expected):
    asked = list(requests())
    if not len(asked) == len(answers) == len(expected):
        raise Failed(f"{name}: {len(answers)} answers to {len(asked)} requests")
    for request, one, other in zip(asked, answers, expected):
        if one != other:
            raise Failed(f"{name}: {request} is answered by {str(one)[:600]}, "
                         f"over HTTP/1.1 by {str(other)[:600]}")


def check_expectations(answers):
    """Not only equal: right."""
    for (method, path, size), (status, fields, body) in zip(requests(), answers):
        made = re.fullmatch(r"/made/(\w+)/(\d+)/(\d+)\?n=\d+", path)
        if not made:
            continue
        kind, code, length = made[1], int(made[2]), int(made[3])
        seen = dict(fields)["x-seen"]
        if status != code or seen != f"{method} {path} {size} {98 * size} 2":
            raise Failed(f"{method} {path}: {status} {seen}")
        expected = FILE if kind == "file" else bytes(ord("a") + i % 23 for i in range(length))
        if method == "HEAD" or code in (204, 304):
            expected = b""
        if body != expected:
            raise Failed(f"{method} {path}: a body of {len(body)} bytes")


def check_curl(folder):
    expected, versions = ask_curl(folder, PLAIN, "--http1.1")
    if versions != {"1.1"}:
        raise Failed(f"curl --http1.1 spoke {versions}")
    check_expectations(expected)
    for option, version in ("--http1.1", "1.1"), ("--http2", "2"):
        answers, versions = ask_curl(folder, SECURE, option)
        if versions != {version}:
            raise Failed(f"curl {option} spoke {versions}")
        must_agree(f"curl {option}", answers, expected)
    # curl 7.88 cannot use such a connection twice, not with nghttpd either.
    for index in range(0, len(requests()), 9):
        if run_curl(folder, PLAIN, [index], ["--http2-prior-knowledge"]) != {"2"}:
            raise Failed("curl --http2-prior-knowledge spoke another version")
        if curl_answer(folder, index) != expected[index]:
            raise Failed(f"curl --http2-prior-knowledge: {requests()[index]} is answered by "
                         f"{str(curl_answer(folder, index))[:600]}")


def check_node(folder):
    expected, _ = ask_curl(folder, PLAIN, "--http1.1")
    for url in PLAIN, SECURE:
        must_agree(f"node {url}", ask_node(folder, url), expected)


def output_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30 * SLOWER)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check_nghttp(folder):
    upload = folder / "nghttp-upload"
    upload.write_bytes(b"b" * 300000)
    for url in PLAIN, SECURE:
        said = output_of("nghttp", "--no-verify-peer", "-ns", "-m", "20", f"{url}/hello",
                         f"{url}/made/stream/200/100000", f"{url}/made/file/404/0")
        answered = re.findall(r" (\d{3}) +\S+ /(?:hello|made)", said)
        if sorted(answered) != ["200"] * 40 + ["404"] * 20:
            raise Failed(f"nghttp {url}: {said}")
        said = output_of("nghttp", "--no-verify-peer", "-d", str(upload), "-H", ":method: POST",
                         "--expect-continue", "-v",
                         f"{url}/made/text/201/5")
        if ":status: 201" not in said or f"{98 * 300000}" not in said:
            raise Failed(f"nghttp {url}, an upload: {said}")


def check_h2load(_):
    for url in PLAIN, SECURE:
        for path in "/hello", "/made/stream/200/100000":
            said = output_of("h2load", "-n", "400", "-c", "4", "-m", "25", f"{url}{path}")
            if "400 succeeded, 0 failed, 0 errored, 0 timeout" not in said:
                raise Failed(f"h2load {url}{path}: {said}")


CHECKS = {"curl": check_curl, "node": check_node, "nghttp": check_nghttp, "h2load": check_h2load}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    server_program = pathlib.Path(parser.parse_args().server).absolute()
    enter_own_network()
    with tempfile.TemporaryDirectory(prefix="rondo-peers-") as name:
        folder = pathlib.Path(name)
        (folder / "file").write_bytes(FILE)
        chain, key, _ = certificates()
        server = Child([str(server_program), str(PORT), chain, key, str(folder / "file")])
        checks = [("its start", lambda: [wait_for_port(server, PORT + i) for i in (0, 1)])]
        for peer, check in CHECKS.items():
            if shutil.which(peer):
                checks.append((peer, lambda check=check: check(folder)))
            else:
                skip(peer, "it is not installed")
        checks.append(("the end of the server", lambda: end_by_sigint(server)))
        try:
            return run(checks, "http_server_peers")
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
