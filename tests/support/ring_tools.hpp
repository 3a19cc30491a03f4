// SPDX-License-Identifier: MIT
// Shared tools of the ring's tests: the kinds of kernel to run on, and short functions to submit
// entries and take completions.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "kernel/ring/ring.hpp"
#include "kernel/ring/abi.hpp"

namespace rondo_tests {

using namespace rondo::detail;
using rondo::time_point;
using namespace std::chrono_literals;

/// The first user_data of our entries: like addresses, far above the tags.
inline constexpr std::uint64_t base = 1 << 20;

struct kernel_kind {
    const char* name;
    ring_limits limits;
};

inline std::array<kernel_kind, 4> kinds() {
    ring_limits bare;
    bare.setup_flags =
        setup_submit_all | setup_coop_taskrun | setup_single_issuer | setup_defer_taskrun;
    return {{{"this kernel", {}},
             {"as if 6.1", ring_limits::linux_6_1()},
             {"as if 5.19", ring_limits::linux_5_19()},
             {"no flags", bare}}};
}

struct limited {
    explicit limited(const ring_limits& limits) { limit_ring(limits); }
    limited(const limited&) = delete;
    ~limited() { limit_ring({}); }
};

inline std::shared_ptr<kernel> attached(const ring_options& options = {}) {
    auto made = make_ring(options);
    made->attach();
    return made;
}

inline void push(kernel& on, const entry& made) {
    entry* slot = on.next_entry();
    if (slot == nullptr) throw std::runtime_error("next_entry: the queue is full");
    *slot = made;
}

inline void push_nops(kernel& on, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) push(on, {.user_data = base + i});
}

/// Waits for `count` completions, taking at most `room` at a time.
inline std::vector<completion> collect(kernel& on, std::size_t count, std::size_t room = 100) {
    std::vector<completion> all;
    std::vector<completion> some(room);
    while (all.size() < count) {
        const entered brought = on.enter(time_point::max(), some.data(), room);
        all.insert(all.end(), some.begin(), some.begin() + static_cast<long>(brought.completions));
    }
    return all;
}

inline bool in_order(const std::vector<completion>& all) {
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].user_data != base + i || all[i].result != 0) return false;
    return true;
}

inline bool round_trip(kernel& on) {
    push(on, {.user_data = base});
    return in_order(collect(on, 1));
}

struct socket_pair {
    socket_pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0); }
    socket_pair(const socket_pair&) = delete;
    ~socket_pair() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    int ends[2];
    char byte = 0;

    entry recv() {
        return {.code = opcode::recv,
                .fd = ends[0],
                .address = reinterpret_cast<std::uint64_t>(&byte),
                .length = 1,
                .user_data = base};
    }
    void send() const { REQUIRE(::write(ends[1], "x", 1) == 1); }
};

inline entry cancel(std::uint64_t target) {
    return {.code = opcode::async_cancel, .address = target, .user_data = first_tag};
}

/// Cancels the entry `target`, and takes its completion and the cancellation's.
inline void cancel_and_forget(kernel& on, std::uint64_t target) {
    push(on, cancel(target));
    collect(on, 2);
}

inline bool readable(int fd, int milliseconds = 0) {
    pollfd watched{fd, POLLIN, 0};
    int ready = 0;  // rings without DEFER_TASKRUN interrupt system calls
    while ((ready = ::poll(&watched, 1, milliseconds)) < 0 && errno == EINTR) {
    }
    return ready == 1;
}

inline std::size_t open_descriptors() {
    std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(all, std::filesystem::directory_iterator()));
}

inline bool says(const std::exception& error, const char* words) {
    return std::string(error.what()).find(words) != std::string::npos;
}

}  // namespace rondo_tests
