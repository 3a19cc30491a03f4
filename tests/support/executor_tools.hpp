// SPDX-License-Identifier: MIT
// Jobs that signal their start and wait for the test, so that no test of to_thread sleeps.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include <rondo/loop.hpp>

namespace rondo_tests {

/// Blocks jobs until the test opens it.
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

/// A signal that a job gives and a task awaits.
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
    gate stopped;
    std::stop_callback open(stop, [&] { stopped.open(); });
    stopped.pass();
}

}  // namespace rondo_tests
