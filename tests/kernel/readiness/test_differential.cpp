// SPDX-License-Identifier: MIT
// Random programs of entries, the same on the ring and on readiness: sockets, a pipe, a file, polls
// and cancels. Each step waits until nothing moves any more, so that both must have the same
// completions. RONDO_PROGRAMS in the environment is the number of programs; the long run of
// scripts/test has 20,000.
//
// Not compared: the order in which operations of one step complete, and which of several that wait
// for the same bytes gets them. So at most one reads and one writes on each descriptor.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <rondo/probe.hpp>

#include "support/catch.hpp"
#include "support/kernel_driver.hpp"
#include "kernel/readiness/readiness.hpp"
#include "kernel/ring/ring.hpp"

using namespace kernel_driver;

namespace {

/// Of one completion: which entry, its result, and the bytes that a read has brought.
struct observed {
    int step;
    std::int32_t result;
    bool more;
    std::string bytes;
    bool operator==(const observed&) const = default;
    bool operator<(const observed& other) const {
        return std::tie(step, result, bytes) < std::tie(other.step, other.result, other.bytes);
    }
};

std::string text_of(const std::vector<observed>& all, std::size_t differs) {
    std::string text;
    for (std::size_t i = differs < 6 ? 0 : differs - 6; i < std::min(all.size(), differs + 3); ++i)
        text += (i == differs ? " > " : "   ") + std::to_string(all[i].step) + ": " +
                std::to_string(all[i].result) + (all[i].more ? " more " : " ") + all[i].bytes +
                '\n';
    return text;
}

class program {
public:
    program(std::shared_ptr<kernel> on, unsigned seed) : driver_(std::move(on)), dice_(seed) {
        ends_.fill(-1);
        make_sockets();
        make_pipe();
        char name[] = "/tmp/rondo-differential-XXXXXX";
        file_ = ::mkostemp(name, O_CLOEXEC);
        REQUIRE(file_ >= 0);
        ::unlink(name);
    }
    program(const program&) = delete;
    ~program() {
        // Again and again, as the loop does: io_uring does not always find a write.
        for (int i = 0; i < 100 && !flights_.empty(); ++i) {
            for (const auto& [user_data, flight] : flights_) driver_.cancel(user_data);
            settle();
        }
        CHECK(flights_.empty());
        for (const int end : ends_)
            if (end >= 0) driver_.os->close(end);
        driver_.os->close(file_);
    }

    std::vector<observed> run(int steps) {
        for (step_ = 0; step_ < steps; ++step_) {
            act();
            settle();
        }
        return std::move(all_);
    }
    const std::vector<std::string>& actions() const { return actions_; }

private:
    enum : std::size_t { left, right, source, sink, count };
    struct flight {
        int step;
        int fd;
        char kind;  // r: reads, w: writes, p: polls, f: on the file
        std::unique_ptr<std::string> buffer;
        bool shows = false;
    };

    unsigned below(unsigned limit) { return static_cast<unsigned>(dice_() % limit); }
    void note(std::string what) { actions_.push_back(std::to_string(step_) + ": " + what); }

    void make_sockets() {
        REQUIRE(driver_.os->socket_pair(AF_UNIX, SOCK_STREAM, 0, &ends_[left]) == 0);
    }
    void make_pipe() { REQUIRE(driver_.os->pipe(&ends_[source]) == 0); }

    bool is_busy(int fd, char kind) const {
        return std::any_of(flights_.begin(), flights_.end(), [&](const auto& one) {
            return one.second.fd == fd && one.second.kind == kind;
        });
    }
    bool is_used(int fd) const {
        return std::any_of(flights_.begin(), flights_.end(),
                           [&](const auto& one) { return one.second.fd == fd; });
    }

    void start(const entry& what, char kind, std::unique_ptr<std::string> buffer = nullptr,
               bool shows = false) {
        const auto user_data = driver_.add(what);
        flights_[user_data] = {step_, what.fd, kind, std::move(buffer), shows};
    }

    void act() {
        switch (below(16)) {
            case 0:
            case 1:
            case 2: return send(ends_[below(2)], false);
            case 3:
            case 4:
            case 5: return receive(ends_[below(2)], false);
            case 6:
            case 7: return send(ends_[sink], true);
            case 8:
            case 9: return receive(ends_[source], true);
            case 10: return poll();
            case 11: return cancel();
            case 12:
            case 13: return on_file();
            case 14: return end_or_renew();
            default: return odd_entry();
        }
    }

    void send(int fd, bool plain) {
        if (is_busy(fd, 'w')) return;
        auto bytes = std::make_unique<std::string>(
            below(8) == 0 ? 40'000 + below(60'000) : below(300), char('a' + step_ % 26));
        note("write " + std::to_string(bytes->size()) + " to " + std::to_string(fd));
        const bool writes = plain || below(4) == 0;
        const entry what = writes ? write_of(fd, *bytes) : send_of(fd, *bytes);
        start(what, 'w', std::move(bytes));
    }

    void receive(int fd, bool plain) {
        if (is_busy(fd, 'r')) return;
        auto buffer = std::make_unique<std::string>(
            below(8) == 0 ? 50'000 + below(60'000) : 1 + below(400), '\0');
        constexpr std::array<int, 4> kinds{0, 0, MSG_WAITALL, MSG_PEEK};
        const int flags = kinds[below(4)];
        note("read " + std::to_string(buffer->size()) + " from " + std::to_string(fd));
        const bool reads = plain || below(4) == 0;
        const entry what = reads ? read_of(fd, *buffer) : recv_of(fd, *buffer, flags);
        start(what, 'r', std::move(buffer), true);
    }

    void poll() {
        const int fd = ends_[below(count)];
        if (fd < 0 || is_busy(fd, 'p')) return;
        constexpr std::array<unsigned, 4> masks{POLLIN, POLLOUT, POLLIN | POLLRDHUP,
                                                POLLIN | POLLOUT};
        note("poll " + std::to_string(fd));
        start(make(opcode::poll_add, fd, nullptr, 0, 0, masks[below(4)]), 'p');
    }

    void cancel() {
        if (flights_.empty()) return;
        auto at = flights_.begin();
        std::advance(at, below(static_cast<unsigned>(flights_.size())));
        // io_uring does not always find a write that waits for room: the loop cancels it again.
        if (at->second.kind == 'w') return;
        note("cancel " + std::to_string(at->second.step));
        entry what = make(opcode::async_cancel);
        what.address = at->first;
        start(what, 'c');
    }

    void on_file() {
        if (is_used(file_)) return;
        const std::uint64_t offset = below(3) == 0 ? at_position : below(2000);
        const unsigned size = 1 + below(1500);
        switch (below(6)) {
            case 0:
            case 1: {
                auto bytes = std::make_unique<std::string>(size, char('A' + step_ % 26));
                const entry what = write_of(file_, *bytes, offset);
                return start(what, 'f', std::move(bytes));
            }
            case 2:
            case 3: {
                auto buffer = std::make_unique<std::string>(size, '\0');
                entry what = read_of(file_, *buffer, offset);
                if (below(3) == 0) what.flags = entry_async;
                return start(what, 'f', std::move(buffer), true);
            }
            case 4: return start(make(opcode::ftruncate, file_, nullptr, 0, below(3000)), 'f');
            default: return start(make(opcode::fsync, file_), 'f');
        }
    }

    void end_or_renew() {
        const std::size_t which = below(count);
        const int fd = ends_[which];
        if (below(2) == 0 && which < source) {
            // A write that waits for room ends with -EPIPE on readiness; the ring lets it wait.
            if (is_busy(ends_[left], 'w') || is_busy(ends_[right], 'w')) return;
            note("shutdown " + std::to_string(fd));
            return start(make(opcode::shutdown, fd, nullptr, below(3)), 's');
        }
        const std::size_t first = which < source ? left : source;
        if (is_used(ends_[first]) || is_used(ends_[first + 1])) return;
        note("new pair");
        driver_.os->close(ends_[first]);
        driver_.os->close(ends_[first + 1]);
        which < source ? make_sockets() : make_pipe();
    }

    void odd_entry() {
        auto buffer = std::make_unique<std::string>(10, '\0');
        switch (below(6)) {
            case 0: return start(make(opcode::nop), 'n');
            case 1: {
                const entry what = recv_of(file_, *buffer);
                return start(what, 'n', std::move(buffer));
            }
            case 2: {
                const entry what = send_of(ends_[sink], *buffer);
                return start(what, 'n', std::move(buffer));
            }
            case 3: return start(make(opcode::accept, ends_[left]), 'n');
            case 4: {
                const entry what = read_of(-1, *buffer);
                return start(what, 'n', std::move(buffer));
            }
            default: return start(make(opcode::shutdown, file_, nullptr, 1), 'n');
        }
    }

    bool is_moving() const {
        return std::any_of(flights_.begin(), flights_.end(), [](const auto& one) {
            return one.second.kind != 'r' && one.second.kind != 'w' && one.second.kind != 'p';
        });
    }

    /// Takes completions until none comes any more. Operations on the file end in any case.
    void settle() {
        std::vector<observed> came;
        for (int quiet = 0; quiet < 3;) {
            driver_.turn(is_moving() ? driver_.os->now() + 1s : time_point::min());
            quiet = driver_.seen.empty() ? quiet + 1 : 0;
            for (const completion& c : std::exchange(driver_.seen, {})) take(c, came);
            if (is_moving()) quiet = 0;
        }
        std::sort(came.begin(), came.end());
        all_.insert(all_.end(), came.begin(), came.end());
    }

    void take(const completion& c, std::vector<observed>& came) {
        const auto at = flights_.find(c.user_data);
        if (at == flights_.end()) return;  // of a cancel in the destructor
        const bool more = (c.flags & completion_more) != 0;
        std::string bytes;
        if (at->second.shows && c.result > 0)
            bytes = at->second.buffer->substr(0, std::min<std::size_t>(std::size_t(c.result), 20));
        came.push_back({at->second.step, c.result, more, std::move(bytes)});
        if (!more) flights_.erase(at);
    }

    driver driver_;
    std::mt19937 dice_;
    std::array<int, count> ends_;
    int file_ = -1;
    int step_ = 0;
    std::map<std::uint64_t, flight> flights_;
    std::vector<observed> all_;
    std::vector<std::string> actions_;
};

unsigned programs() {
    const char* const text = std::getenv("RONDO_PROGRAMS");
    if (text != nullptr) return static_cast<unsigned>(std::atoi(text));
    return std::getenv("RONDO_SLOW") != nullptr ? 300 : 2000;  // in sanitizer builds, in others
}

}  // namespace

TEST_CASE("differential: random entries have the same results on the ring and on readiness",
          "[differential]") {
    if (!rondo::probe().available()) SKIP("io_uring is denied here");
    for (unsigned seed = 1; seed <= programs(); ++seed) {
        program on_ring(make_ring(), seed);
        program on_readiness(make_readiness(256), seed);
        const std::vector<observed> expected = on_ring.run(40);
        const std::vector<observed> got = on_readiness.run(40);
        if (got == expected) continue;
        const auto [here, there] = std::mismatch(got.begin(), got.end(), expected.begin(),
                                                 expected.end());
        const auto differs = static_cast<std::size_t>(here - got.begin());
        std::string actions;
        for (const std::string& one : on_ring.actions()) actions += one + '\n';
        INFO("seed " << seed << "\non the ring:\n"
                     << text_of(expected, differs) << "on readiness:\n"
                     << text_of(got, differs) << "the program:\n"
                     << actions);
        FAIL("the kernels differ");
    }
}
