// SPDX-License-Identifier: MIT
// Drives the simulated kernel through kernel.hpp, entry by entry, like the loop but without a loop
// or coroutines.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/operation.hpp>

#include "support/catch.hpp"
#include "kernel/simulator/simulator.hpp"

namespace sim_driver {

using namespace rondo::detail;
using namespace std::chrono_literals;
using rondo::duration;
using rondo::time_point;

using rondo::detail::address_of;

inline entry make(opcode code, int fd = -1, const void* address = nullptr, std::size_t length = 0,
                  std::uint64_t offset = 0, std::uint32_t op_flags = 0) {
    entry what;
    what.code = code;
    what.fd = fd;
    what.address = address_of(address);
    what.length = static_cast<std::uint32_t>(length);
    what.offset = offset;
    what.op_flags = op_flags;
    return what;
}

inline entry send_of(int fd, std::string_view bytes, int flags = 0) {
    return make(opcode::send, fd, bytes.data(), bytes.size(), 0,
                static_cast<std::uint32_t>(flags | MSG_NOSIGNAL));
}

inline entry receive_into(int fd, std::string& buffer, int flags = 0) {
    return make(opcode::recv, fd, buffer.data(), buffer.size(), 0,
                static_cast<std::uint32_t>(flags));
}

inline entry cancel_of(std::uint64_t user_data) {
    entry what = make(opcode::async_cancel);
    what.address = user_data;
    return what;
}

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return name;
}

/// One simulated kernel and its completions.
class machine {
public:
    explicit machine(const simulator_options& options = {})
        : sim(std::make_shared<simulator>(options)) {
        sim->attach();
    }

    /// Submits an entry with a new user_data. Returns: that user_data.
    std::uint64_t add(entry what) {
        what.user_data = ++last_;
        add_as(what);
        return what.user_data;
    }
    void add_as(const entry& what) {
        entry* slot = sim->next_entry();
        if (slot == nullptr) {
            turn(time_point::min());
            slot = sim->next_entry();
        }
        REQUIRE(slot != nullptr);
        *slot = what;
    }

    entered turn(time_point deadline, std::size_t room = 64) {
        std::vector<completion> out(room);
        const entered brought = sim->enter(deadline, out.data(), room);
        REQUIRE(brought.completions <= room);
        seen.insert(seen.end(), out.begin(), out.begin() + long(brought.completions));
        return brought;
    }

    /// Waits for the entry's next completion and takes it.
    completion next(std::uint64_t user_data) {
        for (;;) {
            for (auto at = seen.begin(); at != seen.end(); ++at)
                if (at->user_data == user_data) {
                    const completion found = *at;
                    seen.erase(at);
                    return found;
                }
            const bool stuck = turn(time_point::max()).stuck;
            if (stuck) FAIL("there is no completion of " << user_data);
        }
    }
    int call(const entry& what) { return next(add(what)).result; }
    /// Runs until no event is left.
    void drain() {
        while (!turn(time_point::max()).stuck) {
        }
    }

    int listen(std::uint16_t port = 7000, int backlog = 16) {
        const int fd = sim->socket(AF_INET, SOCK_STREAM, 0);
        REQUIRE(fd >= simulator::first_descriptor);
        const sockaddr_in name = loopback(port);
        REQUIRE(sim->bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0);
        REQUIRE(sim->listen(fd, backlog) == 0);
        return fd;
    }
    int socket() { return sim->socket(AF_INET, SOCK_STREAM, 0); }
    entry connect_of(int fd, const sockaddr_in& name) {
        return make(opcode::connect, fd, &name, 0, sizeof(name));
    }

    /// Makes a connected pair, client first; the listener is closed again.
    void pair(int& client, int& server) {
        const int listener = listen(7001);
        const sockaddr_in name = loopback(7001);
        client = socket();
        const std::uint64_t accepting = add(make(opcode::accept, listener));
        REQUIRE(call(connect_of(client, name)) == 0);
        server = next(accepting).result;
        REQUIRE(server >= simulator::first_descriptor);
        REQUIRE(sim->close(listener) == 0);
    }

    void send_all(int fd, std::string_view bytes) {
        while (!bytes.empty()) {
            const int sent = call(send_of(fd, bytes));
            REQUIRE(sent > 0);
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    /// Receives up to the end of the stream, or `most` bytes.
    std::string receive(int fd, std::size_t most) {
        std::string all;
        while (all.size() < most) {
            std::string buffer(most - all.size(), '?');
            const int got = call(receive_into(fd, buffer));
            REQUIRE(got >= 0);
            if (got == 0) break;
            all.append(buffer, 0, static_cast<std::size_t>(got));
        }
        return all;
    }

    std::shared_ptr<simulator> sim;
    std::vector<completion> seen;  // not taken by next() yet

private:
    std::uint64_t last_ = 0;
};

inline simulator_options seeded(std::uint64_t seed) {
    simulator_options options;
    options.seed = seed;
    return options;
}

/// Without short transfers and delays, for cases that test something else.
inline simulator_options plain(std::uint64_t seed = 1) {
    simulator_options options = seeded(seed);
    options.short_percent = 0;
    options.late_percent = 0;
    return options;
}

inline std::string letters(std::size_t size) {
    std::string text(size, ' ');
    for (std::size_t at = 0; at < size; ++at)
        text[at] = static_cast<char>('a' + (at * 7 + at / 26) % 26);
    return text;
}

}  // namespace sim_driver
