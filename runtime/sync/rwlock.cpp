// SPDX-License-Identifier: MIT
// Serves the line of readers and writers.
#include <rondo/sync/rwlock.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

constinit const wait_kind rwlock_line::writer_{"line, to write, for an rwlock", stop, object};
constinit const wait_kind rwlock_line::reader_{"line, to read, for an rwlock", stop, object};

const char* rwlock_line::object(const leaf_wait& wait) {
    return keep_text(static_cast<const rwlock_line&>(wait).lock_->state());
}

// Readers that waited after a cancelled writer may enter now.
void rwlock_line::stop(leaf_wait& wait) noexcept {
    leave(wait);
    static_cast<rwlock_line&>(wait).lock_->serve();
}

}  // namespace detail

void rwlock::serve() noexcept {
    while (!line_.empty()) {
        auto& first = static_cast<detail::rwlock_line&>(line_.front());
        if (!take(first.alone_, first.task)) return;
        line_.unpark_one();
    }
}

std::string rwlock::state() const {
    std::string text = "that is not locked";
    if (alone_) text = "held by " + detail::holder_text(holder_);
    if (shared_ > 0)
        text = "held by " + std::to_string(shared_) + (shared_ == 1 ? " reader" : " readers");
    return text + detail::waiters_text(line_);
}

std::string rwlock::describe() const { return "an rwlock " + state(); }

}  // namespace v0
}  // namespace rondo
