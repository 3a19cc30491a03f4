// SPDX-License-Identifier: MIT
// A wait that another thread ends. The thread resumes the task by a post to the task's loop.
#pragma once

#include <optional>

#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Base class of the awaiters of such waits. The post is stored here, in the awaiting frame, so
/// posting allocates nothing. A loop that has ended refuses the post. That is harmless: the frame
/// is about to be destroyed, and no task waits in it.
class posted_wait : public leaf_wait {
protected:
    explicit posted_wait(const wait_kind& k) noexcept : leaf_wait(k), post_{resume, this} {}
    posted_wait(const posted_wait&) = delete;
    posted_wait& operator=(const posted_wait&) = delete;
    ~posted_wait() = default;

    /// Stores the loop of the running task. Call it before another thread may call `post`.
    void set_home() noexcept { home_.emplace(remote_of(*here.current->home)); }
    bool has_home() const noexcept { return home_.has_value(); }
    /// Resumes the task. Any thread, once.
    void post() noexcept { home_->try_post(post_); }
    /// Resumes the task, on its own loop's thread.
    void resume_here() noexcept { detail::wake(static_cast<leaf_wait&>(*this)); }

private:
    static void resume(void* word) noexcept { static_cast<posted_wait*>(word)->resume_here(); }

    std::optional<remote> home_;
    preallocated_post post_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
