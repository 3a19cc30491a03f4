#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs a build into a folder, and builds programs against it as a user would: with pkg-config,
CMake's find_package and meson's dependency(); and sets rondo up as a subproject of meson.

usage: run.py --build FOLDER
Exit status 0 or 1; the last line is "N passed, N failed".
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PLAIN = """#include <cstdio>
#include <rondo/rondo.hpp>
rondo::task<> hello() { std::puts("hello"); co_return; }
int main() { rondo::run(hello()); }
"""
WEB = """#include <cstdio>
#include <rondo/http.hpp>
int main() { std::puts(std::string(rondo::http::url("http://a/b").path()).c_str()); }
"""
QUEUE = """#include <cstdio>
#include <rondo/work_queue.hpp>
int main() { std::puts(std::string(rondo::redis::client("redis://a").name()).c_str()); }
"""
CMAKE = """cmake_minimum_required(VERSION 3.16)
project(consumer CXX)
find_package(rondo 0.1 REQUIRED COMPONENTS http)
add_executable(plain plain.cpp)
target_link_libraries(plain rondo::rondo)
add_executable(web web.cpp)
target_link_libraries(web rondo::http)
"""
CMAKE_QUEUE = """find_package(rondo 0.1 REQUIRED COMPONENTS redis)
add_executable(queue queue.cpp)
target_link_libraries(queue rondo::redis)
"""
MESON = """project('consumer', 'cpp', default_options: 'cpp_std=c++20')
executable('plain', 'plain.cpp', dependencies: dependency('rondo', fallback: 'rondo'))
executable('web', 'web.cpp', dependencies: dependency('rondo-http'))
"""
MESON_QUEUE = """executable('queue', 'queue.cpp', dependencies: dependency('rondo-redis'))
"""


class Consumer:
    """A folder with a user's programs, and the installed libraries beside it."""

    def __init__(self, folder, build):
        self.folder = folder
        for name, text in (("plain.cpp", PLAIN), ("web.cpp", WEB), ("queue.cpp", QUEUE)):
            (folder / name).write_text(text)
        stage = folder / "stage"
        self.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", stage])
        found = next(stage.rglob("rondo.pc"))
        self.libraries = found.parent.parent
        self.prefix = next(stage.rglob("include/rondo")).parent.parent
        self.has_redis = (found.parent / "rondo-redis.pc").exists()
        self.environment = {
            **os.environ,
            "PKG_CONFIG_PATH": str(found.parent),
            "PKG_CONFIG_SYSROOT_DIR": str(stage),
            "LD_LIBRARY_PATH": str(self.libraries),
        }

    def run(self, command, **options):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=getattr(self, "environment", None),
            capture_output=True,
            text=True,
            **options,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
        return done.stdout

    def if_redis(self, *given):
        return list(given) if self.has_redis else []

    def judge(self, where):
        wanted = [("plain", "hello\n"), ("web", "/b\n")]
        for name, line in wanted + self.if_redis(("queue", "a:6379/0\n")):
            said = self.run([where / name])
            if said != line:
                raise RuntimeError(f"{name} printed {said!r}")

    def pkg_config(self):
        packages = [("plain", "rondo"), ("web", "rondo-http")]
        for name, package in packages + self.if_redis(("queue", "rondo-redis")):
            flags = self.run(["pkg-config", "--cflags", "--libs", package]).split()
            self.run(["g++", "-std=c++20", f"{name}.cpp", "-o", name, *flags])
        self.judge(self.folder)

    def cmake(self):
        text = "".join([CMAKE, *self.if_redis(CMAKE_QUEUE)])
        (self.folder / "CMakeLists.txt").write_text(text)
        self.run(["cmake", "-S", ".", "-B", "cmake", f"-DCMAKE_PREFIX_PATH={self.prefix}"])
        self.run(["cmake", "--build", "cmake", "--parallel", "2"])
        self.judge(self.folder / "cmake")

    def meson(self):
        text = "".join([MESON, *self.if_redis(MESON_QUEUE)])
        (self.folder / "meson.build").write_text(text)
        self.run(["meson", "setup", "meson"])
        self.run(["ninja", "-C", "meson"])
        self.judge(self.folder / "meson")

    def subproject(self):
        """Only sets it up: nothing but the libraries and the program may be built."""
        project = self.folder / "outer"
        (project / "subprojects").mkdir(parents=True)
        (project / "subprojects/rondo").symlink_to(ROOT)
        (project / "plain.cpp").write_text(PLAIN)
        text = MESON.splitlines(keepends=True)[:2]
        (project / "meson.build").write_text("".join(text))
        command = ["meson", "setup", "--wrap-mode=forcefallback", project / "build", project]
        self.run(command)
        targets = self.run(["meson", "introspect", "--targets", project / "build"])
        for unwanted in ("tests/", "examples/", "bench/"):
            if f"subprojects/rondo/{unwanted}" in targets:
                raise RuntimeError(f"a subproject builds {unwanted}")
        if "librondo" not in targets:
            raise RuntimeError("a subproject does not build its library")


def main():
    arguments = argparse.ArgumentParser(description="builds against an installed rondo")
    arguments.add_argument("--build", type=pathlib.Path, required=True)
    build = arguments.parse_args().build.resolve()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        consumer = Consumer(pathlib.Path(name), build)
        if not consumer.has_redis:
            print("skipped librondo-redis: it was built without hiredis")
        for way in ("pkg_config", "cmake", "meson", "subproject"):
            if way == "cmake" and shutil.which("cmake") is None:
                print("skipped cmake: it is not installed")
                continue
            try:
                getattr(consumer, way)()
                passed += 1
                print(f"ok      {way}", flush=True)
            except (RuntimeError, OSError) as error:
                failed += 1
                print(f"FAILED  {way}: {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
