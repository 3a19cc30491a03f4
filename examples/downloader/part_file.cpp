// SPDX-License-Identifier: MIT
// Locking, creating, renaming, removing.
#include "part_file.hpp"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace downloader {

namespace {

[[noreturn]] void refuse(int error, const char* verb, const std::string& path) {
    throw std::system_error(error, std::generic_category(), verb + (' ' + path));
}

bool is_there(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

/// Another run may have renamed its part between our open and our lock.
bool is_still(int number, const std::string& path) {
    struct stat opened {}, named {};
    return ::fstat(number, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/// 0, or errno.
int rename_file(const std::string& from, const std::string& to, bool replace) {
    if (!replace) {
        if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EINVAL && errno != ENOSYS) return errno;  // else: no RENAME_NOREPLACE
        if (is_there(to)) return EEXIST;
    }
    return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace

part_file::~part_file() {
    if (exists_) ::unlink(part_path_.c_str());
}

void part_file::check_name() const {
    if (!replace_ && is_there(path_)) refuse(EEXIST, "create", path_);
}

/// The lock belongs to this descriptor and ends with it, also if the process is killed.
rondo::descriptor part_file::lock_part() {
    for (;;) {
        const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        const int number = ::open(part_path_.c_str(), flags, 0666);
        if (number < 0 && errno == ELOOP && replace_) {
            ::unlink(part_path_.c_str());
            continue;
        }
        if (number < 0) refuse(errno == ELOOP ? EEXIST : errno, "create", part_path_);
        rondo::descriptor part = rondo::descriptor::adopt(number, part_path_);
        if (::flock(number, LOCK_EX | LOCK_NB) != 0)
            refuse(errno == EWOULDBLOCK ? EBUSY : errno, "create", part_path_);
        if (is_still(number, part_path_)) return part;
    }
}

rondo::task<> part_file::create() {
    lock_ = lock_part();
    exists_ = true;
    rondo::open_options options;
    options.truncate = options.no_follow = true;
    file_ = co_await rondo::file::open(part_path_, rondo::open_mode::write, options);
}

rondo::task<> part_file::commit() {
    co_await file_.close();
    if (const int error = rename_file(part_path_, path_, replace_)) refuse(error, "create", path_);
    exists_ = false;
}

}  // namespace downloader
