// SPDX-License-Identifier: MIT
// Descriptors as a readiness kernel sees them: what is known of the file, and the entries that wait
// for it. Found by number, in pages, so that a record never moves.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "kernel/readiness/pending.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// How bytes are read from a file and written to it without blocking.
enum class file_kind_t : std::uint8_t {
    unknown,
    socket,       // recv and send with MSG_DONTWAIT
    nonblocking,  // its description has O_NONBLOCK
    no_wait,      // preadv2 and pwritev2 with RWF_NOWAIT
    twin,         // another description of the same file, with O_NONBLOCK
    guarded,      // none of these: on a thread, after it is ready
    storage,      // waits for a disk, never for readiness: on a thread, if it is not cached
};

/// Whether it is a TCP socket: a short read of one has taken all.
enum class tcp_t : std::uint8_t { unknown, yes, no };

struct watched {
    int number = -1;
    std::uint32_t closes = 0;    // of the number, when this record was made
    std::uint32_t interest = 0;  // epoll events that it is registered for; 0: not in the set
    int twin = -1;
    file_kind_t kind = file_kind_t::unknown;
    tcp_t tcp = tcp_t::unknown;
    bool ours = false;           // registered until it is closed; otherwise while polls wait
    bool refused = false;        // epoll refuses it (EPERM): it never waits
    bool nonblocking = false;    // accepts on it need no further fcntl
    bool no_cached_write = false;  // RWF_NOWAIT is refused for writes
    bool in_ready = false;
    bool hit = false;              // by an event, since the polls on it were last looked at
    // Latches: set by an event, cleared when a call has shown that nothing is left.
    bool readable = false;
    bool writable = false;
    bool hung_up = false;        // also an error: calls go on until they tell
    bool urgent = false;         // urgent data was seen: reads may stop before it
    pending_list readers;        // also accepts
    pending_list writers;        // also connects
    pending_list pollers;
    list_links<watched> links;   // in the list of those with something to do

    bool is_idle() const noexcept {
        return readers.empty() && writers.empty() && pollers.empty();
    }
    /// The descriptor that reads and writes are on.
    int handle() const noexcept { return twin >= 0 ? twin : number; }
    pending_list& list_of(const pending& one) noexcept {
        if (one.what.code == opcode::poll_add) return pollers;
        return one.writes ? writers : readers;
    }
    bool& latch_of(bool writes) noexcept { return writes ? writable : readable; }
};

using watched_list = intrusive_list<watched, &watched::links>;

class watched_table {
public:
    /// Returns: the record of a number; null if there is no memory.
    watched* find(int fd) noexcept {
        const std::size_t at = static_cast<std::size_t>(fd) / page_size;
        if (at >= pages_.size() || pages_[at] == nullptr) [[unlikely]]
            if (!grow(at)) return nullptr;
        return &(*pages_[at])[static_cast<std::size_t>(fd) % page_size];
    }
    template <class Visit>
    void each(Visit visit) noexcept {
        for (const auto& part : pages_)
            if (part != nullptr)
                for (watched& one : *part)
                    if (one.number >= 0) visit(one);
    }

private:
    static constexpr std::size_t page_size = 64;
    using page = std::array<watched, page_size>;

    bool grow(std::size_t at) noexcept {
        try {
            if (pages_.size() <= at) pages_.resize(at + 1);
            pages_[at] = std::make_unique<page>();
        } catch (const std::bad_alloc&) {
            return false;
        }
        return true;
    }

    std::vector<std::unique_ptr<page>> pages_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
