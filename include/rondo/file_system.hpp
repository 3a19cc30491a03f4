// SPDX-License-Identifier: MIT
// Paths: what is there, and making, moving and removing it; whole files in one call.
//
// The names say what they work on (`remove_file`, `rename_path`) and not only what they do: rename,
// remove, link and unlink are functions of C, which `using namespace rondo` would make ambiguous.
//
// Renaming, linking, removing and making a directory are entries of the ring. What Linux has no
// entry for (listing a directory, reading a link, whole trees) is done on a thread of the loop's.
//
// A path is whatever a std::string can be made of. Errors name the verb and the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <rondo/file.hpp>

namespace rondo {
inline namespace v0 {

/// What stands in a directory.
class directory_entry {
public:
    std::string name;
    file_kind kind = file_kind::none;  ///< none where the file system does not say
    directory_entry() = default;
};

// All of these throw std::system_error, and a cancellation leaves it done or not done.

/// Of what the path leads to; without `follow_links` of a link itself. See: statx(2).
RONDO_API task<file_status> status_of(std::string path, bool follow_links = true);
/// Is there something? See: access(2).
RONDO_API task<bool> path_exists(std::string path);
/// Replaces what is at `to`, in one step; with `no_replace` that is an error. See: renameat2(2).
RONDO_API task<> rename_path(std::string from, std::string to, bool no_replace = false);
RONDO_API task<> remove_file(std::string path);       ///< See: unlink(2).
RONDO_API task<> remove_directory(std::string path);  ///< An empty one. See: rmdir(2).
/// See: mkdir(2).
RONDO_API task<> make_directory(std::string path, unsigned permissions = 0777);
/// With those above it, where they are not there.
RONDO_API task<> make_directories(std::string path);
RONDO_API task<> make_link(std::string to, std::string path);           ///< See: link(2).
RONDO_API task<> make_symbolic_link(std::string to, std::string path);  ///< See: symlink(2).
RONDO_API task<std::string> read_symbolic_link(std::string path);       ///< See: readlink(2).
/// A file, or a directory with all that is in it; links are removed and not followed. "link/" is
/// ENOTDIR, a path that ends in "." or ".." is EINVAL, "/" is EBUSY.
/// Returns: how many there were; 0 where nothing was there.
RONDO_API task<std::uintmax_t> remove_tree(std::string path);
/// What stands in a directory, but for "." and "..", in the order of the file system.
RONDO_API task<std::vector<directory_entry>> list_directory(std::string path);

// -- whole files ----------------------------------------------------------------------------------

/// Also of files that do not know their size (/proc).
/// Throws: limit_error for more than `limit` bytes, before anything is read if the size says so.
RONDO_API task<std::string> read_file(std::string path, std::size_t limit = std::size_t{1} << 30);
/// Made anew, or cut and written. `data` is borrowed.
RONDO_API task<> write_file(std::string path, const_buffer data);
RONDO_API task<> append_to_file(std::string path, const_buffer data);

/// How a file is replaced.
struct replace_options {
    unsigned permissions = 0666;  ///< less the umask
    bool sync = true;             ///< what was written is on the disk before the name changes
};
static_assert(std::is_trivially_destructible_v<replace_options>);

/// Whoever opens `path` at whatever moment, also after a crash, finds the old bytes or the new ones,
/// never a mixture: they are written beside it, to the disk, and renamed. `data` is borrowed.
/// Throws: std::system_error, write_error; nothing is left behind.
/// Cancel: the old file stays, or the new one is there; nothing is left behind.
RONDO_API task<> replace_file(std::string path, const_buffer data, replace_options options = {});

}  // namespace v0
}  // namespace rondo
