// SPDX-License-Identifier: MIT
// Calls on paths of the real system that io_uring has no opcode for. Each returns 0 or -errno.
#pragma once

#include <cstdint>
#include <string>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Calls `each` with `word`, the name and the st_mode of each entry except "." and "..". The
/// st_mode has only the type; it is 0 if the file system does not tell.
int list_names(const char* path, void (*each)(void*, const char*, unsigned), void* word);
/// Stores the target of a symbolic link.
int link_target(const char* path, std::string* target);
/// Makes a directory and its missing parents.
int make_path(const char* path);
/// Removes a file or a directory tree; a symbolic link itself, never its target. Stores the number
/// of names removed.
int remove_path(const char* path, std::uint64_t* count);
/// Returns: 1 if a writer has the FIFO open that `fd` reads from, or had; 0 if none has.
int writer_of_fifo(int fd);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
