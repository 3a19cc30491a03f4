// SPDX-License-Identifier: MIT
// For tests of the work_queue against the model of its server.
#pragma once

#include <chrono>
#include <functional>

#include <rondo/work_queue.hpp>

#include "redis/queue_model.hpp"

namespace rondo_tests {

inline rondo::task<> until(std::function<bool()> what) {
    while (!what()) co_await rondo::sleep(std::chrono::milliseconds(1));
}

inline rondo::task<rondo::work_queue> open_queue(const queue_server& server,
                                                 rondo::work_queue_options options = {}) {
    return rondo::work_queue::open(server.url(), "q", options);
}

inline void quietly() {
    rondo::running_loop().set_exception_handler([](const rondo::exception_context&) {});
}

}  // namespace rondo_tests
