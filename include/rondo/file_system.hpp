// SPDX-License-Identifier: MIT
// Operations on paths: status, making, moving and removing; and whole files in one call.
//
// The names say what they work on (`remove_file`, `rename_path`). The bare verbs rename, remove,
// link and unlink are functions of C, and `using namespace rondo` would make them ambiguous.
//
// Renaming, linking, removing and making a directory are io_uring operations. Operations that
// io_uring does not have (listing a directory, reading a link, whole trees) run on a thread of the
// loop's pool.
//
// A path is anything a std::string can be made from. Errors name the verb and the path.
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

/// An entry of a directory.
class directory_entry {
public:
    std::string name;
    file_kind kind = file_kind::none;  ///< none if the file system does not tell
    directory_entry() = default;
};

// Each of these throws std::system_error. A cancelled one has been done, or not done.

/// Status of the file at `path`; without `follow_links`, of a symbolic link itself. See: statx(2).
RONDO_API task<file_status> status_of(std::string path, bool follow_links = true);
/// True if something is at `path`; a symbolic link is not followed. See: statx(2).
RONDO_API task<bool> path_exists(std::string path);
/// Renames `from` to `to`, and replaces what is at `to` in one step; with `no_replace` EEXIST
/// instead. See: renameat2(2).
RONDO_API task<> rename_path(std::string from, std::string to, bool no_replace = false);
RONDO_API task<> remove_file(std::string path);       ///< See: unlink(2).
RONDO_API task<> remove_directory(std::string path);  ///< An empty directory. See: rmdir(2).
/// Makes a directory; the umask is subtracted from `permissions`. See: mkdir(2).
RONDO_API task<> make_directory(std::string path, unsigned permissions = 0777);
/// Makes a directory and all missing directories above it.
RONDO_API task<> make_directories(std::string path);
RONDO_API task<> make_link(std::string to, std::string path);           ///< See: link(2).
RONDO_API task<> make_symbolic_link(std::string to, std::string path);  ///< See: symlink(2).
RONDO_API task<std::string> read_symbolic_link(std::string path);       ///< See: readlink(2).
/// Removes a file, or a directory with its contents; symbolic links are removed, not followed.
/// "link/" is ENOTDIR, a path that ends in "." or ".." is EINVAL, "/" is EBUSY.
/// Returns: the number of files and directories removed; 0 if `path` did not exist.
RONDO_API task<std::uintmax_t> remove_tree(std::string path);
/// The entries of a directory except "." and "..", in the order of the file system.
RONDO_API task<std::vector<directory_entry>> list_directory(std::string path);

// -- whole files ----------------------------------------------------------------------------------

/// Reads a whole file. Works too for files that report no size (/proc).
/// Throws: limit_error for more than `limit` bytes; if the size says so, before anything is read.
RONDO_API task<std::string> read_file(std::string path, std::size_t limit = std::size_t{1} << 30);
/// Writes a whole file, which is created or emptied first. `data` is borrowed.
RONDO_API task<> write_file(std::string path, const_buffer data);
RONDO_API task<> append_to_file(std::string path, const_buffer data);

/// Options of replace_file.
struct replace_options {
    unsigned permissions = 0666;  ///< the umask is subtracted
    bool sync = true;             ///< the data is on the disk before the name changes
};
static_assert(std::is_trivially_destructible_v<replace_options>);

/// Replaces a file atomically: a process that opens `path` at any moment, even after a crash, reads
/// the old bytes or the new ones, never a mixture. The bytes are written to a file beside it,
/// synced to the disk, and the file is renamed. `data` is borrowed.
/// Throws: std::system_error, write_error; the file beside it is removed.
/// Cancel: the old file stays, or the new one is there; the file beside it is removed.
RONDO_API task<> replace_file(std::string path, const_buffer data, replace_options options = {});

}  // namespace v0
}  // namespace rondo
