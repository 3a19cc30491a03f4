// SPDX-License-Identifier: MIT
// add_reader and add_writer: a background poll, made again after each callback.
#pragma once

#include <cstdint>
#include <unordered_map>

#include <rondo/loop.hpp>
#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class loop_core;

/// The callback for one direction of one descriptor. The table, the poll in flight and the ready
/// queue hold references; the last one frees it. So a late completion finds its own watch, and
/// never a later one on the same number.
struct fd_watch final : background_operation, callback_item {
    loop_core* core;
    function<void()> fn;
    int number;
    bool writes;
    bool removed = false;
    unsigned holders = 1;

    fd_watch(loop_core& home, int fd, bool for_writing, function<void()> call);
    void arm() noexcept;
    void release() noexcept {
        if (--holders == 0) delete this;
    }
    static void ready(operation_state& operation) noexcept;
    static void call(callback_item& item) noexcept;
};

class fd_watches {
public:
    ~fd_watches();
    void add(loop_core& core, int fd, bool writes, function<void()> fn);
    /// Cancels the poll in the kernel before it returns: an armed poll would keep a closed file
    /// open.
    bool remove(loop_core& core, int fd, bool writes) noexcept;
    void forget(fd_watch& watch) noexcept;

private:
    static std::uint64_t key(int fd, bool writes) noexcept {
        return static_cast<std::uint64_t>(fd) * 2 + (writes ? 1 : 0);
    }
    std::unordered_map<std::uint64_t, fd_watch*> all_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
