// SPDX-License-Identifier: MIT
// The folder that files go to, by its descriptor: whatever others rename or link meanwhile, nothing
// outside of it is touched. A name has no slash, and a link is never followed.
//
// All calls are direct system calls of microseconds: a thread for them would cost more, and so
// would io_uring, which uses one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

namespace downloader {

/// Owns the number of an open file, until it is released.
class file_number {
public:
    explicit file_number(int number = -1) : number_(number) {}
    file_number(file_number&& other) noexcept : number_(other.release()) {}
    file_number& operator=(file_number&& other) noexcept;
    ~file_number();
    int get() const { return number_; }
    int release();
    explicit operator bool() const { return number_ >= 0; }

private:
    int number_;
};

class folder {
public:
    /// Makes the folder if it is not there.
    /// Throws: std::system_error.
    explicit folder(const std::string& path);

    const std::string& path() const { return path_; }
    int number() const { return self_.get(); }

    /// openat2(2) beneath the folder. Returns: nothing, with errno, if that fails.
    file_number open(const std::string& name, int flags, unsigned permissions = 0666) const;
    /// A new file without a name. Returns: nothing if the file system has no such files.
    file_number open_nameless(unsigned permissions = 0666) const;
    /// lstat(2).
    std::optional<struct stat> status(const std::string& name) const;

    /// These return 0 or errno. Without `replace` a name that is taken is EEXIST.
    int link(int number, const std::string& name, bool replace) const;
    int rename(const std::string& from, const std::string& to, bool replace) const;
    int remove(const std::string& name) const;

    /// Bytes that this user may still write in the file system; nothing if it does not say.
    std::optional<std::uint64_t> free_bytes() const;

    /// The names in it, in order; nothing if there are many thousands.
    std::optional<std::vector<std::string>> names() const;

    /// A name that no file has; it begins with a dot.
    std::string scratch_name() const;

private:
    int give_first_name(int number, const std::string& name) const;

    std::string path_;
    file_number self_;
};

/// True for an ordinary file of this user that has no second name: another user cannot have put it
/// there to make us write, or read, elsewhere.
bool is_own_file(const struct stat& status);

/// Throws: refused, "create x.iso: File exists".
[[noreturn]] void refuse_file(int error, std::string_view verb, std::string_view name);

}  // namespace downloader
