// SPDX-License-Identifier: MIT
// The record behind a descriptor: a number, who made it, and the operations that are on it now.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <rondo/operation.hpp>

#include "kernel/kernel.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class loop_core;

/// What each operation looks at stands in one line of the cache.
struct alignas(64) descriptor_record {
    int number = -1;
    int place = -1;                         // in the kernel's own table, see kernel::keep
    std::uint8_t uses = 0;                  // operations so far, up to worth_a_place
    bool closed = false;                    // asked for; no operation may begin any more
    bool gone = false;                      // the number has been given back
    bool seekable = false;                  // transfers may be at a position that the kernel keeps
    bool slow_writes = false;               // a device: a write may block its thread
    bool counted = false;                   // in loop_core::closings
    int close_error = 0;
    unsigned holders = 1;                   // the descriptor, and awaited closings
    unsigned count = 0;                     // operations
    operation_list operations;             
    std::int64_t started_at = -1;           // where the last transfer at the position began
    wait_list closers;
    std::shared_ptr<system> os;
    std::string name;

    /// False where it is closed; the operation is counted all the same, until `remove`.
    bool add(operation_state& operation, loop_core& home) noexcept;
    /// The last one closes a closed descriptor's number.
    void remove(operation_state& operation) noexcept;
    void close() noexcept;
    void release() noexcept;

private:
    /// A place costs two system calls, which about as many operations earn back.
    static constexpr std::uint8_t worth_a_place = 32;
    void last_operation_ended(loop_core& home) noexcept;
    void give_back() noexcept;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
