// SPDX-License-Identifier: MIT
// An entry from `next_entry` until its completion, and where such entries live: in a slab, so that
// an operation allocates nothing. Those that wait are found by their user_data, for cancels.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include <rondo/config.hpp>
#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/detail/kernel/entry.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct watched;

struct pending {
    enum class place_t : std::uint8_t {
        none,     // being interpreted
        waiting,  // in a list of its descriptor
        timed,    // in the list of those with a time
        away,     // for a thread, or on one
        done,     // has a result
    };

    entry what;
    list_links<pending> links;  // in the list that `place` says
    pending* next = nullptr;    // entries made, results, threads' results
    pending* next_found = nullptr;  // in pending_index
    watched* on = nullptr;      // its descriptor, if it waits for readiness
    time_point due{};           // of a timeout, or of the next try to connect
    std::int32_t result = 0;
    std::uint32_t flags = 0;    // of the completion
    std::uint32_t moved = 0;    // bytes so far, of a transfer in several steps
    place_t place = place_t::none;
    bool writes = false;        // waits for room, not for something to read
    bool seekable = false;      // the offset of a transfer counts
    bool tried = false;         // an attempt was made
    bool found = false;         // in pending_index
    bool started = false;       // a thread runs it; guarded by the lock of `workers`
};

using pending_list = intrusive_list<pending, &pending::links>;
using pending_fifo = intrusive_fifo<pending, &pending::next>;

/// Objects never move; pages are freed at the end.
class pending_slab {
public:
    /// Returns: null if there is no memory.
    pending* take() noexcept {
        if (free_.empty() && !grow()) return nullptr;
        return &free_.pop();
    }
    void give(pending& one) noexcept {
        one = pending();
        free_.prepend(one);
    }

private:
    static constexpr std::size_t page_size = 64;

    bool grow() noexcept {
        try {
            pages_.push_back(std::make_unique<pending[]>(page_size));
        } catch (const std::bad_alloc&) {
            return false;
        }
        for (std::size_t i = page_size; i-- > 0;) free_.prepend(pages_.back()[i]);
        return true;
    }

    std::vector<std::unique_ptr<pending[]>> pages_;
    pending_fifo free_;
};

/// Entries that wait, by user_data: a hash table with chains.
class pending_index {
public:
    pending_index() : chains_(64) {}

    void add(pending& one) noexcept {
        if (count_ >= chains_.size()) grow();
        put(one);
        one.found = true;
        ++count_;
    }
    void remove(pending& one) noexcept {
        pending** at = &chain_of(one.what.user_data);
        while (*at != &one) at = &(*at)->next_found;
        *at = one.next_found;
        one.found = false;
        --count_;
    }
    pending* find(std::uint64_t user_data) noexcept {
        pending* one = chain_of(user_data);
        while (one != nullptr && one->what.user_data != user_data) one = one->next_found;
        return one;
    }

private:
    // The low bits of an address are zero, and frames have similar sizes: so they are mixed.
    pending*& chain_of(std::uint64_t user_data) noexcept {
        return chains_[(user_data * 0x9e3779b97f4a7c15u >> 32) & (chains_.size() - 1)];
    }
    void put(pending& one) noexcept {
        pending*& first = chain_of(one.what.user_data);
        one.next_found = first;
        first = &one;
    }
    void grow() noexcept {
        std::vector<pending*> before;
        try {
            before.resize(chains_.size() * 2);
        } catch (const std::bad_alloc&) {
            return;  // the chains get longer
        }
        before.swap(chains_);
        for (pending* one : before)
            while (one != nullptr) {
                pending& moved = *one;
                one = one->next_found;
                put(moved);
            }
    }

    std::vector<pending*> chains_;
    std::size_t count_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
