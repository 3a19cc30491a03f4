// SPDX-License-Identifier: MIT
// Watching a directory for changes:
//
//     auto changes = rondo::watch_directory("/etc");
//     while (auto change = co_await changes.next()) ...
//
// The kernel queues the events (inotify). If its queue overflows, an event says so; a program that
// relies on every change then has to list the directory again. Directories below are not watched.
// All watches of a loop share one inotify instance, because a user has a small number of them.
//
// A watch is no async_generator: the body of a generator ends with a wait that was cancelled in it,
// but a `next` with a timeout around it must leave the watch as it was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <rondo/config.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// A change in a watched directory.
class directory_event {
public:
    enum class kind : std::uint8_t {
        created,     ///< a file, a directory or a link was made
        modified,    ///< the bytes of a file have changed
        closed,      ///< a file that was open for writing was closed
        attributes,  ///< permissions, times, owner or link count have changed
        removed,
        moved_from,  ///< renamed; if it stayed in here, moved_to with the same cookie follows
        moved_to,
        overflow     ///< events were lost: list the directory again
    };
    kind what = kind::created;
    std::string name;
    bool is_directory = false;
    std::uint32_t cookie = 0;  ///< equal in the two events of one rename

    directory_event() = default;
};

namespace detail {
struct watch_state;
}

/// A watched directory. Move-only; the destructor ends the watch.
/// Thread: its loop's thread.
class RONDO_API directory_watch {
public:
    directory_watch(directory_watch&& other) noexcept;
    directory_watch& operator=(directory_watch&& other) noexcept;
    ~directory_watch();

    /// Waits for the next event.
    /// Returns: the event; empty once the directory has been removed, renamed or unmounted.
    /// Throws:  std::system_error; invalid_state_error if another `next` is being awaited.
    /// Cancel:  no event is lost: it stays for the following `next`.
    task<std::optional<directory_event>> next();

private:
    friend RONDO_API directory_watch watch_directory(std::string path);
    explicit directory_watch(std::shared_ptr<detail::watch_state> of) noexcept;
    std::shared_ptr<detail::watch_state> state_;  // shared with a `next` that is being awaited
};

/// Watches `path` from this call on.
/// Throws: std::system_error: "watch /no/such: No such file or directory", at once; ENOSPC if
///         the user has too many watches.
/// See:    inotify(7).
RONDO_API directory_watch watch_directory(std::string path);

}  // namespace v0
}  // namespace rondo
