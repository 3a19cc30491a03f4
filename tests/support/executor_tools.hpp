// SPDX-License-Identifier: MIT
// Jobs that wait for the test, and say that they have begun: so that no test of to_thread sleeps.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include <rondo/loop.hpp>

namespace rondo_tests {

/// Blocks a job until somebody opens it.
class gate {
public:
    void open() {
        std::lock_guard lock(mutex_);
        open_ = true;
        opened_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        opened_.wait(lock, [this] { return open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool open_ = false;
};

/// What a job says when it runs, and a task waits for.
class signal_to_loop {
public:
    void give() {
        home_.call_soon_threadsafe([this] { given_.set_value(); });
    }
    rondo::future<> given() const { return given_.get_future(); }

private:
    rondo::remote home_ = rondo::running_loop().remote();
    rondo::promise<> given_;
};

inline void until_stopped(const std::stop_token& stop) {
    gate told;
    std::stop_callback open(stop, [&] { told.open(); });
    told.pass();
}

}  // namespace rondo_tests
