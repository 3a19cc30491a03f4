// SPDX-License-Identifier: MIT
// Calls on paths of the real system that io_uring has no entry for. Each gives 0 or -errno.
#pragma once

#include <cstdint>
#include <string>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Calls `each` with `word`, the name and the st_mode of each entry but "." and "..".
int list_names(const char* path, void (*each)(void*, const char*, unsigned), void* word);
int link_target(const char* path, std::string* target);
int make_path(const char* path);
/// Removes what `path` names, never what a link at its end leads to.
int remove_path(const char* path, std::uint64_t* count);
/// 1 if a writer has, or had, the FIFO open that `fd` reads from; 0 if none has.
int writer_of_fifo(int fd);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
