// SPDX-License-Identifier: MIT
// One io_uring: set up with the features that the kernel offers, its queues mapped. liburing is
// used for set-up, mapping and the raw system calls (setup.cpp); ring.cpp uses the queues directly.
// liburing's own submit and wait are not used: their result, and whether they wait until the
// deadline, depends on the entries submitted.
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

/// The mapped queues. Positions increase and wrap around; position & mask is the index.
struct ring_queues {
    entry* slots = nullptr;
    std::uint32_t slot_mask = 0;
    std::uint32_t slot_count = 0;
    std::uint32_t* submit_head = nullptr;   // written by the kernel, only inside an enter
    std::uint32_t* submit_tail = nullptr;   // written by us
    std::uint32_t* submit_flags = nullptr;  // written by the kernel: queue_flags

    const completion* completions = nullptr;
    std::uint32_t completion_mask = 0;
    std::uint32_t* completion_head = nullptr;  // written by us
    std::uint32_t* completion_tail = nullptr;  // written by the kernel
};

class mapped_ring {
public:
    explicit mapped_ring(const ring_options& options);  // throws uring_unavailable
    mapped_ring(const mapped_ring&) = delete;
    mapped_ring& operator=(const mapped_ring&) = delete;
    ~mapped_ring();

    /// Releases the object in a forked child. The queues are not mapped there, and other memory may
    /// have their addresses.
    void close_in_child() noexcept;

    const ring_facts& facts() const noexcept { return facts_; }
    const ring_queues& queues() const noexcept { return queues_; }
    bool limited() const noexcept;
    int descriptor() const noexcept;

    // Each returns -errno if it fails.
    int enable() noexcept;  // binds the ring to this thread
    int register_eventfd(int fd) noexcept;
    void unregister_eventfd() noexcept;
    void watch_eventfd(bool on) noexcept;
    /// Returns: a number for enter_ring, valid on this thread only, that saves the descriptor
    /// look-up.
    int register_descriptor() noexcept;
    void unregister_descriptor(int number) noexcept;
    /// Makes a table of `count` empty places for descriptors.
    int make_files(unsigned count) noexcept;
    int drop_files() noexcept;
    /// Puts a descriptor into a place; -1 clears it.
    int set_file(unsigned place, int fd) noexcept;
    /// Registers the ring of `count` buffers that receives of group 0 pick from. `slots` is in
    /// whole pages.
    int register_buffers(void* slots, unsigned count) noexcept;

private:
    int set_up_shrinking(const ring_options& options) noexcept;
    int set_up(std::uint32_t entries, std::uint32_t completions) noexcept;
    void move_descriptor() noexcept;
    void find_queues() noexcept;
    void examine();
    void try_enter() const;
    void restrict(unsigned opcodes);

    const ring_limits limits_;
    std::unique_ptr<io_uring> raw_;
    ring_facts facts_;
    ring_queues queues_;
};

/// io_uring_enter(2). `left` is the longest time to wait; null waits without limit.
int enter_ring(int fd, unsigned submit, unsigned completions_min, unsigned flags,
               const timespec* left) noexcept;

/// Fills `slot` with a multishot poll on `fd`, which completes each time it becomes readable.
void prepare_poll(entry& slot, int fd, std::uint64_t user_data) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
