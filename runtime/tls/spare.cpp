// SPDX-License-Identifier: MIT
#include "tls/spare.hpp"

#include <cstddef>
#include <mutex>
#include <utility>

#include "tls/connection.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

struct spare_buffers {
    static constexpr std::size_t most = 16;
    std::mutex lock;
    read_buffer all[most];
    std::size_t count = 0;
};

/// Never destroyed: connections may end later.
union spare_place {
    constexpr spare_place() : buffers() {}
    ~spare_place() {}
    spare_buffers buffers;
};
constinit spare_place spares;

bool is_large(read_buffer& buffer) noexcept {
    return buffer.room(0).size() >= tls_connection::large;
}

}  // namespace

// Without a wait for the lock: another thread may have held it at a fork.
void take_spare(read_buffer& buffer) noexcept {
    if (is_large(buffer)) return;
    spare_buffers& from = spares.buffers;
    const std::unique_lock guard(from.lock, std::try_to_lock);
    if (guard && from.count != 0) buffer = std::move(from.all[--from.count]);
}

void give_spare(read_buffer& buffer) noexcept {
    if (buffer.empty() && is_large(buffer)) {
        spare_buffers& to = spares.buffers;
        const std::unique_lock guard(to.lock, std::try_to_lock);
        if (guard && to.count != spare_buffers::most) to.all[to.count++] = std::move(buffer);
    }
    buffer = read_buffer();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
