// SPDX-License-Identifier: MIT
// A context variable: each request has an id, which every function below it can log.
// Runs on: ring and simulator
//
//     [request 1] begins
//     [request 2] begins
//     [request 2] asks the database
//     [request 1] asks the database
//     [no request] done
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task_local<std::string> request_id("no request");

void log(std::string message) { fmt::print("[{}] {}\n", request_id.get(), message); }

rondo::task<> database() {
    co_await rondo::sleep(1ms);
    log("asks the database");
}

rondo::task<> handle(rondo::duration delay) {
    log("begins");
    co_await rondo::sleep(delay);
    co_await rondo::create_task(database());  // a new task inherits it
}

rondo::task<> program() {
    co_await rondo::gather(request_id.with("request 1", handle, 30ms),
                           request_id.with("request 2", handle, 5ms));
    log("done");
}

int main() { rondo::run(program()); }
