// SPDX-License-Identifier: MIT
// What happens in a directory, as it happens:
//
//     auto changes = rondo::watch_directory("/etc");
//     while (auto change = co_await changes.next()) ...
//
// The kernel keeps a queue of events (inotify); one that overflows is an event too, so that whoever
// counts on every change knows when to look for himself. Directories below are not watched. All
// watches of a loop share one inotify instance, of which a user may have few.
//
// It is no async_generator: the body of one ends with the wait that was cancelled in it, and a `next`
// with a timeout around it must leave the watch as it was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <rondo/config.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// Something that happened to a name in a watched directory.
class directory_event {
public:
    enum class kind : std::uint8_t {
        created,     ///< a file, a directory, a link was made
        modified,    ///< its bytes have changed
        closed,      ///< whoever had it open for writing has closed it
        attributes,  ///< permissions, times, owner, links
        removed,
        moved_from,  ///< renamed; the moved_to of the same cookie, if it stayed in here, follows
        moved_to,
        overflow     ///< events have been lost: look for yourself
    };
    kind what = kind::created;
    std::string name;
    bool is_directory = false;
    std::uint32_t cookie = 0;  ///< of a rename: the same in both events

    directory_event() = default;
};

namespace detail {
struct watch_state;
}

/// A watched directory. Move-only; the destructor ends the watch.
/// Thread: its loop's.
class RONDO_API directory_watch {
public:
    directory_watch(directory_watch&& other) noexcept;
    directory_watch& operator=(directory_watch&& other) noexcept;
    ~directory_watch();

    /// The next event; empty once the directory has been removed, renamed or unmounted.
    /// Throws: std::system_error; invalid_state_error where another `next` is being awaited.
    /// Cancel: nothing lost: what has come stays for the next `next`.
    task<std::optional<directory_event>> next();

private:
    friend RONDO_API directory_watch watch_directory(std::string path);
    explicit directory_watch(std::shared_ptr<detail::watch_state> of) noexcept;
    std::shared_ptr<detail::watch_state> state_;  // a `next` that is being awaited has it too
};

/// Watches `path` from the call on.
/// Throws: std::system_error: "watch /no/such: No such file or directory", at once; ENOSPC where
///         the user has too many watches.
/// See:    inotify(7).
RONDO_API directory_watch watch_directory(std::string path);

}  // namespace v0
}  // namespace rondo
