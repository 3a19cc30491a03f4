// SPDX-License-Identifier: MIT
// The record of a descriptor: its number, its system, and the operations that are on it now.
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

/// The members that each operation uses stand in one cache line.
struct alignas(64) descriptor_record {
    int number = -1;
    int place = -1;                         // in the kernel's table: kernel::register_file
    std::uint8_t uses = 0;                  // operations so far, up to worth_a_place
    bool closed = false;                    // close was called; no operation may begin any more
    bool gone = false;                      // the number was closed
    bool seekable = false;                  // the kernel keeps a position
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

    /// False if it is closed; the operation is counted in any case, until `remove`.
    bool add(operation_state& operation, loop_core& home) noexcept;
    /// The last operation to leave a closed descriptor closes the number.
    void remove(operation_state& operation) noexcept;
    void close() noexcept;
    void release() noexcept;

private:
    /// A place costs two system calls; about this many operations make up for them.
    static constexpr std::uint8_t worth_a_place = 32;
    void last_operation_ended(loop_core& home) noexcept;
    void give_back() noexcept;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
