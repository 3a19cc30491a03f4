// SPDX-License-Identifier: MIT
// Shows task_local: a value that a task and everything it starts can read, without passing it
// through every call. A typical use is a request's number in each log line. Awaited tasks, children
// and detached tasks see it, and each request has its own value.
// Run: request_ids
//
//     [-] the server is up
//     [1] GET /slow
//     [2] GET /quick
//     [2] looking it up
//     [2] answered
//     [1] looking it up
//     [1] answered
//     [2] written to the archive
//     [1] written to the archive
//     [-] the server is down
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task_local<std::string> request_id("-");  // the value outside of requests

void log(const std::string& text) { fmt::print("[{}] {}\n", request_id.get(), text); }

rondo::task<> look_up() {
    co_await rondo::sleep(20ms);
    log("looking it up");
}

rondo::task<> archive() {
    co_await rondo::sleep(300ms);
    log("written to the archive");
}

rondo::task<> answer(std::string path, rondo::duration delay) {
    log("GET " + path);
    co_await rondo::sleep(delay);
    co_await look_up();
    rondo::create_task(archive());  // outlives the request, and still sees its number
    log("answered");
}

rondo::task<> serve() {
    log("the server is up");
    co_await rondo::gather(request_id.with("1", answer, std::string("/slow"), 100ms),
                           request_id.with("2", answer, std::string("/quick"), 10ms));
    co_await rondo::sleep(400ms);
    log("the server is down");
}

int main() { rondo::run(serve()); }
