// SPDX-License-Identifier: MIT
// One io_uring as the kernel gave it: set up by what the kernel offers, queues mapped, nothing
// running. The library is used for set-up, mapping and the raw system calls; ring.cpp works
// the queues itself. liburing's own submit and wait are not used: what they return, and whether
// they wait for the deadline, varies with what was submitted.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>

#include "kernel/kernel.hpp"
#include "kernel/ring/ring.hpp"

struct io_uring;

namespace rondo {
inline namespace v0 {
namespace detail {

/// A word in memory shared with the kernel.
using shared_word = std::atomic_ref<std::uint32_t>;

/// The mapped queues. Positions run on and wrap; position & mask is the place.
struct ring_queues {
    entry* slots = nullptr;
    std::uint32_t slot_mask = 0;
    std::uint32_t slot_count = 0;
    std::uint32_t* submit_head = nullptr;   // the kernel's: what it has taken, only inside an enter
    std::uint32_t* submit_tail = nullptr;   // ours
    std::uint32_t* submit_state = nullptr;  // the kernel's: queue_flags

    const completion* completions = nullptr;
    std::uint32_t completion_mask = 0;
    std::uint32_t* completion_head = nullptr;  // ours
    std::uint32_t* completion_tail = nullptr;  // the kernel's
};

class mapped_ring {
public:
    explicit mapped_ring(const ring_options& options);  // throws uring_unavailable
    mapped_ring(const mapped_ring&) = delete;
    mapped_ring& operator=(const mapped_ring&) = delete;
    ~mapped_ring();

    /// Ends the object in a forked child, where the queues are not mapped, and their addresses may
    /// be something else's.
    void close_in_child() noexcept;

    const ring_facts& facts() const noexcept { return facts_; }
    const ring_queues& queues() const noexcept { return queues_; }
    bool limited() const noexcept;
    int descriptor() const noexcept;

    // Each returns -errno where it fails.
    int enable() noexcept;  // binds to this thread
    int register_eventfd(int fd) noexcept;
    void unregister_eventfd() noexcept;
    void watch_eventfd(bool on) noexcept;
    /// A number for `enter` that spares it the look-up of the descriptor, on this thread only.
    int register_descriptor() noexcept;
    void unregister_descriptor(int number) noexcept;
    /// A table of `count` empty places for descriptors, and what is in one; -1 empties it.
    int make_files(unsigned count) noexcept;
    int drop_files() noexcept;
    int set_file(unsigned place, int fd) noexcept;
    /// `slots`, in whole pages, are the ring of `count` buffers that receives of group 0 pick from.
    int register_buffers(void* slots, unsigned count) noexcept;

private:
    int set_up_shrinking(const ring_options& options) noexcept;
    int set_up(std::uint32_t entries, std::uint32_t completions) noexcept;
    void move_descriptor() noexcept;
    void find_queues() noexcept;
    void examine();

    const ring_limits limits_;
    std::unique_ptr<io_uring> raw_;
    ring_facts facts_;
    ring_queues queues_;
};

/// io_uring_enter(2); `left`, if any, is how long to wait at most.
int enter_ring(int fd, unsigned submit, unsigned completions_min, unsigned flags,
               const timespec* left) noexcept;

/// Fills `slot` with a poll on `fd` that completes whenever it becomes readable.
void prepare_poll(entry& slot, int fd, std::uint64_t user_data) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
