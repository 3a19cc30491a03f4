// SPDX-License-Identifier: MIT
// What happens in a directory, as it happens:
//
//     auto changes = rondo::watch_directory("/etc");
//     while (auto change = co_await changes.next()) ...
//
// The kernel keeps a queue of events (inotify); one that overflows is an event too, so that whoever
// counts on every change knows when to look for himself. Directories below are not watched.
#pragma once

#include <cstdint>
#include <string>

#include <rondo/generator.hpp>

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

/// Watches `path` from the call on, until it is itself removed, renamed or unmounted: then it ends.
/// Throws: std::system_error: "watch /no/such: No such file or directory", at once; ENOSPC where
///         the user has too many watches.
/// Cancel: of next: nothing lost.
/// See:    inotify(7).
RONDO_API async_generator<directory_event> watch_directory(std::string path);

}  // namespace v0
}  // namespace rondo
