// SPDX-License-Identifier: MIT
// A loop on a thread of its own, for tests that call it, stop it, or hold it up.
#pragma once

#include <optional>
#include <thread>

#include <rondo/loop.hpp>

#include "support/executor_tools.hpp"

namespace rondo_tests {

class other_loop {
public:
    other_loop() {
        thread_ = std::thread([this] {
            rondo::loop own;
            own_ = &own;
            home_.emplace(own.remote());
            up_.open();
            own.run_forever();
        });
        up_.pass();
    }
    ~other_loop() { end(); }
    other_loop(const other_loop&) = delete;
    other_loop& operator=(const other_loop&) = delete;

    const rondo::remote& home() const noexcept { return *home_; }
    std::thread::id thread() const noexcept { return thread_.get_id(); }

    /// Makes the loop end soon.
    void stop() const noexcept {
        home_->try_post([](void* own) { static_cast<rondo::loop*>(own)->stop(); }, own_);
    }
    /// Waits until the loop and its thread have ended.
    void end() {
        if (!thread_.joinable()) return;
        stop();
        thread_.join();
    }
    /// Blocks the loop until `door` opens; then stops it, if `and_stop`.
    void hold(gate& door, bool and_stop = false) const {
        gate held;
        home_->call_soon_threadsafe([&door, &held, and_stop, own = own_] {
            held.open();
            door.pass();
            if (and_stop) own->stop();
        });
        held.pass();
    }

private:
    gate up_;
    std::thread thread_;
    std::optional<rondo::remote> home_;
    rondo::loop* own_ = nullptr;
};

}  // namespace rondo_tests
