// SPDX-License-Identifier: MIT
// Serves the line of a semaphore.
#include <rondo/sync/semaphore.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

constinit const wait_kind semaphore_wait::kind_{"line for a semaphore", stop, object};

const char* semaphore_wait::object(const leaf_wait& wait) {
    return keep_text(static_cast<const semaphore_wait&>(wait).semaphore_->state());
}

// Smaller requests that waited after a cancelled large one may be served now.
void semaphore_wait::stop(leaf_wait& wait) noexcept {
    leave(wait);
    static_cast<semaphore_wait&>(wait).semaphore_->serve();
}

}  // namespace detail

void semaphore::serve() noexcept {
    while (!line_.empty()) {
        const std::size_t wanted = static_cast<detail::semaphore_wait&>(line_.front()).count_;
        if (wanted > available_) return;
        available_ -= wanted;
        line_.unpark_one();
    }
}

void semaphore::release(std::size_t count) {
    if (count > bound_ - available_)
        throw invalid_state_error("release of more permits than the semaphore's bound allows");
    give_back(count);
}

std::string semaphore::state() const {
    return "with " + std::to_string(available_) + (available_ == 1 ? " permit" : " permits") +
           detail::waiters_text(line_);
}

std::string semaphore::describe() const { return "a semaphore " + state(); }

}  // namespace v0
}  // namespace rondo
