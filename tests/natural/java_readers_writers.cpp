// SPDX-License-Identifier: MIT
// Java's ReentrantReadWriteLock: readers read together, a writer is alone.
// Runs on: ring and simulator
//
//     3 readers read "old" together
//     written
//     a reader reads "new"
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

struct page {
    rondo::rwlock lock;
    std::string text = "old";
    int readers = 0;
};

rondo::task<> reader(page& p) {
    auto shared = co_await p.lock.lock_shared();
    if (++p.readers == 3) fmt::print("3 readers read \"{}\" together\n", p.text);
    if (p.readers == 4) fmt::print("a reader reads \"{}\"\n", p.text);
    co_await rondo::sleep(5ms);
}

rondo::task<> writer(page& p) {
    auto alone = co_await p.lock.lock();
    p.text = "half";
    co_await rondo::sleep(5ms);
    p.text = "new";
    fmt::print("written\n");
}

rondo::task<> program() {
    page p;
    co_await rondo::gather(reader(p), reader(p), reader(p), writer(p), reader(p));
}

int main() { rondo::run(program()); }
