// SPDX-License-Identifier: MIT
// Beginning, writing, naming. part_state.cpp has the ways to and from a saved state.
#include "part_file.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "failure.hpp"
#include "figures.hpp"
#include "names.hpp"
#include "text.hpp"

namespace downloader {

namespace {

constexpr const char* validator_attribute = "user.rondo-get.validator";
constexpr std::uint64_t reserved_least = 1024 * 1024;  // a smaller file is written soon
constexpr std::size_t direct_most = 64 * 1024;  // bytes that are written by pwrite(2)

}  // namespace

part_file::~part_file() {
    if (!current_.empty() && !is_published_) in_->remove(current_);
}

void part_file::adopt(file_number opened) {
    opened_ = std::move(opened);
    number_ = opened_.get();
}

rondo::file& part_file::file() {
    if (!file_.is_open()) {
        file_ = rondo::file::adopt(opened_.get(), name_);
        opened_.release();
    }
    return file_;
}

void part_file::close() {
    file_ = {};
    opened_ = file_number();
    number_ = -1;
}

rondo::task<> part_file::begin(std::optional<std::uint64_t> length) {
    discard();
    const bool is_large = length && *length >= reserved_least;
    const auto left = is_large ? in_->free_bytes() : std::nullopt;
    if (left && *length > *left)
        throw refused(fmt::format("no space for {}: {} are needed, {} are free", printable(name_),
                                  bytes_text(*length), bytes_text(*left)));
    file_number opened = in_->open_nameless();
    if (!opened) {  // not on every file system
        const std::string name = in_->scratch_name();
        opened = in_->open(name, O_RDWR | O_CREAT | O_EXCL);
        if (!opened) refuse_file(errno, "create", name_);
        current_ = name;
    }
    adopt(std::move(opened));
    if (!is_large) co_return;
    const auto done = co_await rondo::as_result(file().allocate(0, *length));
    if (!done && done.error().value() == ENOSPC)
        throw refused(
            fmt::format("no space for {}: {} are needed", printable(name_), bytes_text(*length)));
}

/// Writes a few bytes into the system's memory at once. io_uring would have a thread of the kernel
/// do it, for most file systems, and that costs more than the writing.
void part_file::write_direct(std::string_view bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const auto size =
            ::pwrite(number_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (size < 0 && errno != EINTR) refuse_file(errno, "write", name_);
        if (size <= 0) continue;
        bytes.remove_prefix(static_cast<std::size_t>(size));
        offset += static_cast<std::uint64_t>(size);
    }
}

rondo::task<> part_file::write(std::string_view bytes, std::uint64_t offset) {
    if (bytes.size() <= direct_most) {
        write_direct(bytes, offset);
        co_return;
    }
    try {
        co_await file().write_all_at(bytes, offset);
    } catch (const std::system_error& error) {
        refuse_file(error.code().value(), "write", name_);
    }
}

void part_file::discard() {
    has_lost_name();
    close();
    if (!current_.empty()) in_->remove(current_);
    if (is_published_) in_->remove(state_name(current_));
    current_.clear();
    is_published_ = false;
}

rondo::task<> part_file::sync() {
    try {
        co_await file().sync_data();
    } catch (const std::system_error& error) {
        refuse_file(error.code().value(), "write", name_);
    }
}

void part_file::set_time(std::int64_t seconds_since_1970) {
    const std::array<timespec, 2> times = {
        {{0, UTIME_OMIT}, {static_cast<time_t>(seconds_since_1970), 0}}};
    ::futimens(number_, times.data());
}

void part_file::keep_validator(const std::string& validator) {
    // Not every file system has attributes: the file is complete without it.
    if (!validator.empty())
        ::fsetxattr(number_, validator_attribute, validator.data(), validator.size(), 0);
}

std::string validator_of(const folder& in, const std::string& name) {
    const file_number file = in.open(name, O_RDONLY);
    std::string value(1024, '\0');
    const auto size =
        file ? ::fgetxattr(file.get(), validator_attribute, value.data(), value.size()) : 0;
    value.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return value;
}

int part_file::give_name(const std::string& name, bool replace) {
    const int error =
        current_.empty() ? in_->link(number_, name, replace) : in_->rename(current_, name, replace);
    if (error == 0) current_ = name;
    return error;
}

void part_file::commit(when_taken what) {
    if (has_lost_name()) throw refused("its part was removed, or replaced, by another program");
    const std::string part = current_;
    std::string name = name_;
    int error = give_name(name, what == when_taken::overwrite);
    for (std::size_t number = 2; error == EEXIST && what == when_taken::rename; ++number) {
        name = numbered(name_, number);
        error = give_name(name, false);
    }
    if (error != 0) refuse_file(error, "create", name);
    name_ = std::move(name);
    if (is_published_) in_->remove(state_name(part));
    current_.clear();
    is_published_ = false;
    close();
}

}  // namespace downloader
