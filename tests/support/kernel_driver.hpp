// SPDX-License-Identifier: MIT
// Drives a kernel of the real system through kernel.hpp, entry by entry: like a loop, but without a
// loop or coroutines.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "kernel/kernel.hpp"

namespace kernel_driver {

using namespace rondo::detail;
using namespace std::chrono_literals;
using rondo::duration;
using rondo::time_point;

inline std::uint64_t address_in_entry(const void* memory) {
    return reinterpret_cast<std::uintptr_t>(memory);
}

inline entry make(opcode code, int fd = -1, const void* address = nullptr, std::size_t length = 0,
                  std::uint64_t offset = 0, std::uint32_t op_flags = 0) {
    entry what;
    what.code = code;
    what.fd = fd;
    what.address = address_in_entry(address);
    what.length = static_cast<std::uint32_t>(length);
    what.offset = offset;
    what.op_flags = op_flags;
    return what;
}

/// The offset of reads and writes at the position of the file.
inline constexpr std::uint64_t at_position = ~std::uint64_t(0);

inline entry read_of(int fd, std::string& into, std::uint64_t offset = at_position) {
    return make(opcode::read, fd, into.data(), into.size(), offset);
}
inline entry write_of(int fd, std::string_view bytes, std::uint64_t offset = at_position) {
    return make(opcode::write, fd, bytes.data(), bytes.size(), offset);
}
inline entry recv_of(int fd, std::string& into, int flags = 0) {
    return make(opcode::recv, fd, into.data(), into.size(), 0, static_cast<std::uint32_t>(flags));
}
inline entry send_of(int fd, std::string_view bytes, int flags = 0) {
    return make(opcode::send, fd, bytes.data(), bytes.size(), 0,
                static_cast<std::uint32_t>(flags | MSG_NOSIGNAL));
}

class driver {
public:
    explicit driver(std::shared_ptr<kernel> on) : os(std::move(on)) { os->attach(); }

    /// Makes an entry. Returns: its user_data, an address for the kernel.
    std::uint64_t add(entry what) {
        what.user_data = last_ += 64;
        entry* const slot = os->next_entry();
        REQUIRE(slot != nullptr);
        *slot = what;
        return what.user_data;
    }
    void turn(time_point deadline = time_point::min(), std::size_t room = 64) {
        std::vector<completion> out(room);
        const entered brought = os->enter(deadline, out.data(), room);
        REQUIRE(brought.completions <= room);
        seen.insert(seen.end(), out.begin(), out.begin() + long(brought.completions));
    }
    /// Takes a completion of the entry, if it has come.
    std::optional<completion> taken(std::uint64_t user_data) {
        const auto at = std::find_if(seen.begin(), seen.end(), [user_data](const completion& c) {
            return c.user_data == user_data;
        });
        if (at == seen.end()) return std::nullopt;
        const completion found = *at;
        seen.erase(at);
        return found;
    }
    /// Waits for the entry's next completion; ten seconds at most.
    completion next(std::uint64_t user_data) {
        const time_point until = os->now() + 10s;
        for (;;) {
            if (const auto found = taken(user_data)) return *found;
            if (os->now() >= until) FAIL("no completion has come");
            turn(until);
        }
    }
    int call(const entry& what) { return next(add(what)).result; }
    /// Looks for completions without waiting. Returns: whether the entry has none.
    bool waits(std::uint64_t user_data) {
        for (int i = 0; i < 3; ++i) turn();
        return std::none_of(seen.begin(), seen.end(), [user_data](const completion& c) {
            return c.user_data == user_data;
        });
    }
    /// Cancels an entry. Returns: the result of the cancel; `next` has that of the entry.
    int cancel(std::uint64_t user_data) {
        entry what = make(opcode::async_cancel);
        what.address = user_data;
        return call(what);
    }

    std::shared_ptr<kernel> os;
    std::vector<completion> seen;

private:
    std::uint64_t last_ = 1 << 20;
};

/// Both ends of a socket pair or a pipe, closed by the kernel that uses them.
struct two_numbers {
    two_numbers(kernel& of, int family, int type) : os(of) {
        REQUIRE((family == 0 ? os.pipe(ends) : os.socket_pair(family, type, 0, ends)) == 0);
    }
    two_numbers(const two_numbers&) = delete;
    ~two_numbers() {
        for (int& end : ends) close(end);
    }
    void close(int& end) {
        if (end >= 0) os.close(std::exchange(end, -1));
    }
    kernel& os;
    int ends[2];
};

}  // namespace kernel_driver
