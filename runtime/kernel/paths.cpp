// SPDX-License-Identifier: MIT
// Calls on paths, by <filesystem> and readdir(3). See paths.hpp.
#include "kernel/paths.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

template <class F>
int errno_of(F call) noexcept {
    try {
        call();
        return 0;
    } catch (const std::system_error& error) {
        return -error.code().value();
    } catch (...) {
        return -ENOMEM;
    }
}

/// Stores the path without "/" at its end: a system call that gets "link/" follows the link.
/// Returns: 0, or -errno if the path must not be removed.
int without_end(std::string_view path, std::string& shorter) {
    const std::size_t end = path.find_last_not_of('/');
    if (end == path.npos) return path.empty() ? 0 : -EBUSY;  // the root
    shorter = path.substr(0, end + 1);
    const std::string_view name = std::string_view(shorter).substr(shorter.rfind('/') + 1);
    if (name == "." || name == "..") return -EINVAL;  // like rmdir(2) and rm(1)
    struct stat status {};
    const bool as_directory = shorter.size() != path.size();
    if (as_directory && ::lstat(shorter.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
        return -ENOTDIR;
    return 0;
}

}  // namespace

int list_names(const char* path, void (*each)(void*, const char*, unsigned), void* word) {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path), ::closedir);
    if (!folder) return -errno;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(folder.get());
        if (entry == nullptr) return -errno;
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        const bool unknown = entry->d_type == DT_UNKNOWN;
        each(word, entry->d_name, unknown ? 0 : static_cast<unsigned>(DTTOIF(entry->d_type)));
    }
}

int link_target(const char* path, std::string* target) {
    return errno_of([&] { *target = std::filesystem::read_symlink(path).string(); });
}

int make_path(const char* path) {
    return errno_of([&] { std::filesystem::create_directories(path); });
}

int remove_path(const char* path, std::uint64_t* count) {
    int refused = 0;
    const int result = errno_of([&] {
        std::string shorter;
        refused = without_end(path, shorter);
        if (refused == 0 && !shorter.empty()) *count = std::filesystem::remove_all(shorter);
    });
    return refused != 0 ? refused : result;
}

/// tee(2) removes nothing from the FIFO. It returns 0 if there is no writer, and fails with EAGAIN
/// if there is one that has written nothing. After a writer has come and gone, poll(2) reports it.
int writer_of_fifo(int fd) {
    pollfd state{fd, POLLIN, 0};
    if (::poll(&state, 1, 0) > 0) return 1;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return -errno;
    const ssize_t result = ::tee(fd, ends[1], 1, SPLICE_F_NONBLOCK);
    const int error = errno;
    for (const int end : ends) ::close(end);
    if (result >= 0) return result > 0 ? 1 : 0;
    return error == EAGAIN ? 1 : -error;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
