// SPDX-License-Identifier: MIT
// System calls relative to a folder.
#include "folder.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.hpp"
#include "text.hpp"

namespace downloader {

file_number& file_number::operator=(file_number&& other) noexcept {
    if (const int old = std::exchange(number_, other.release()); old >= 0) ::close(old);
    return *this;
}
file_number::~file_number() {
    if (number_ >= 0) ::close(number_);
}
int file_number::release() { return std::exchange(number_, -1); }

folder::folder(const std::string& path) : path_(path) {
    std::filesystem::create_directories(path);
    self_ = file_number(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!self_) throw std::system_error(errno, std::generic_category(), "open " + printable(path));
}

file_number folder::open(const std::string& name, int flags, unsigned permissions) const {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    how.mode = (flags & O_CREAT) != 0 ? permissions : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    const long number = ::syscall(SYS_openat2, self_.get(), name.c_str(), &how, sizeof how);
    if (number >= 0 || (errno != ENOSYS && errno != EPERM))
        return file_number(static_cast<int>(number));
    // A container that does not know the call: a name has no slash, so this is beneath as well.
    const int plain = static_cast<int>(how.flags);
    return file_number(::openat(self_.get(), name.c_str(), plain, permissions));
}

file_number folder::open_nameless(unsigned permissions) const {
    return file_number(::openat(self_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, permissions));
}

std::optional<struct stat> folder::status(const std::string& name) const {
    struct stat result {};
    if (::fstatat(self_.get(), name.c_str(), &result, AT_SYMLINK_NOFOLLOW) != 0)
        return std::nullopt;
    return result;
}

int folder::give_first_name(int number, const std::string& name) const {
    // Linux 6.10 and later allow this to the user who has opened the file, earlier ones only to a
    // privileged process; to others they say ENOENT.
    static bool is_allowed = true;
    if (is_allowed) {
        if (::linkat(number, "", self_.get(), name.c_str(), AT_EMPTY_PATH) == 0) return 0;
        if (errno != ENOENT && errno != EPERM) return errno;
    }
    const std::string own = fmt::format("/proc/self/fd/{}", number);
    if (::linkat(AT_FDCWD, own.c_str(), self_.get(), name.c_str(), AT_SYMLINK_FOLLOW) != 0)
        return errno;
    is_allowed = false;
    return 0;
}

int folder::link(int number, const std::string& name, bool replace) const {
    const std::string to = replace ? scratch_name() : name;
    if (const int error = give_first_name(number, to); error != 0 || !replace) return error;
    const int error = rename(to, name, true);
    if (error != 0) remove(to);
    return error;
}

int folder::rename(const std::string& from, const std::string& to, bool replace) const {
    if (replace)
        return ::renameat(self_.get(), from.c_str(), self_.get(), to.c_str()) == 0 ? 0 : errno;
    if (::renameat2(self_.get(), from.c_str(), self_.get(), to.c_str(), RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    // The file system has no such rename. A link fails as well if the name is taken.
    if (::linkat(self_.get(), from.c_str(), self_.get(), to.c_str(), 0) == 0) return remove(from);
    if (errno != EPERM && errno != EOPNOTSUPP) return errno;
    if (status(to)) return EEXIST;
    return ::renameat(self_.get(), from.c_str(), self_.get(), to.c_str()) == 0 ? 0 : errno;
}

int folder::remove(const std::string& name) const {
    return ::unlinkat(self_.get(), name.c_str(), 0) == 0 ? 0 : errno;
}

std::optional<std::uint64_t> folder::free_bytes() const {
    struct statvfs status {};
    if (::fstatvfs(self_.get(), &status) != 0 || status.f_blocks == 0) return std::nullopt;
    return std::uint64_t{status.f_bavail} * status.f_frsize;
}

std::optional<std::vector<std::string>> folder::names() const {
    constexpr std::size_t names_max = 20'000;
    const auto close = [](DIR* open) { ::closedir(open); };
    const int number = ::openat(self_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, decltype(close)> all(number < 0 ? nullptr : ::fdopendir(number));
    if (!all) return std::nullopt;
    std::vector<std::string> result;
    while (const dirent* const entry = ::readdir(all.get())) {
        if (result.size() == names_max) return std::nullopt;
        result.emplace_back(entry->d_name);
    }
    std::sort(result.begin(), result.end());
    return result;
}

std::string folder::scratch_name() const {
    // The number of a process alone may come again: a container's first one always has 1.
    static const unsigned long run = std::random_device()() * 0x10001UL + std::random_device()();
    static unsigned count = 0;
    return fmt::format(".rondo-get-{:x}-{}-{}", run, ::getpid(), ++count);
}

bool is_own_file(const struct stat& status) {
    return S_ISREG(status.st_mode) && status.st_nlink == 1 && status.st_uid == ::geteuid();
}

void refuse_file(int error, std::string_view verb, std::string_view name) {
    throw refused(
        fmt::format("{} {}: {}", verb, printable(name), std::generic_category().message(error)));
}

}  // namespace downloader
