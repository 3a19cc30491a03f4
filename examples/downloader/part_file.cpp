// SPDX-License-Identifier: MIT
// Creating, renaming, removing.
#include "part_file.hpp"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
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

/// 0, or errno.
int rename_file(const std::string& from, const std::string& to, bool replace) {
    if (!replace) {
        if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EINVAL && errno != ENOSYS) return errno;  // a file system that cannot do it
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

rondo::task<> part_file::create() {
    if (replace_) ::unlink(part_path_.c_str());
    rondo::open_options options;
    options.create = options.exclusive = true;  // O_EXCL follows no link
    file_ = co_await rondo::file::open(part_path_, rondo::open_mode::write, options);
    exists_ = true;
}

rondo::task<> part_file::commit() {
    co_await file_.close();
    if (const int error = rename_file(part_path_, path_, replace_)) refuse(error, "create", path_);
    exists_ = false;
}

}  // namespace downloader
