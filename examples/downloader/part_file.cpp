// SPDX-License-Identifier: MIT
// Finding, locking, writing, naming.
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
constexpr std::size_t slots = 9;                       // NAME.part, NAME.part.2, …
constexpr std::uint64_t reserved_least = 1024 * 1024;  // a small file is written at once

/// Locks the file for this process; false if another process has it. A lock of flock(2) would
/// belong to the open file, which outlives a killed process for as long as the kernel takes to end
/// the operations of its ring.
bool lock_file(int number) {
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return ::fcntl(number, F_SETLK, &whole) == 0 || (errno != EAGAIN && errno != EACCES);
}

/// Another run may have given the part its name between our open and our lock.
bool is_still(int number, const folder& in, const std::string& name) {
    struct stat opened {};
    const auto named = in.status(name);
    return ::fstat(number, &opened) == 0 && named && opened.st_dev == named->st_dev &&
           opened.st_ino == named->st_ino;
}

}  // namespace

part_file::~part_file() {
    if (!current_.empty() && !is_published_) in_->remove(current_);
}

std::string part_file::part_name(std::size_t slot) const {
    const std::string name = name_ + ".part";
    return slot == 1 ? name : numbered(name, slot);
}

void part_file::adopt(file_number opened) {
    file_ = rondo::file::adopt(opened.get(), name_);
    number_ = opened.release();
}

/// Opens and locks the part of a slot, if it is ours.
bool part_file::open_slot(std::size_t slot) {
    const std::string name = part_name(slot);
    for (;;) {
        file_number part = in_->open(name, O_RDWR);
        struct stat status {};
        if (!part || ::fstat(part.get(), &status) != 0 || !is_own_file(status)) return false;
        const auto state = in_->status(state_name(name));
        if (!state || !is_own_file(*state)) return false;
        if (!lock_file(part.get()))
            throw refused(fmt::format("another run downloads it: {} is locked", printable(name)));
        if (!is_still(part.get(), *in_, name)) continue;
        adopt(std::move(part));
        current_ = name;
        is_published_ = true;
        return true;
    }
}

std::optional<saved_state> part_file::read_state() const {
    const file_number state = in_->open(state_name(current_), O_RDONLY);
    struct stat status {};
    if (!state || ::fstat(state.get(), &status) != 0 || !is_own_file(status)) return std::nullopt;
    std::string text(state_bytes_max + 1, '\0');
    const auto size = ::read(state.get(), text.data(), text.size());
    if (size < 0) return std::nullopt;
    text.resize(static_cast<std::size_t>(size));
    auto saved = parse_state(text);
    struct stat part {};
    if (!saved || ::fstat(number_, &part) != 0 || part.st_ino != saved->inode) return std::nullopt;
    const auto size_now = static_cast<std::uint64_t>(part.st_size);
    if (!saved->done.empty() && saved->done.back().end > size_now) return std::nullopt;
    return saved;
}

std::optional<saved_state> part_file::resume(const std::vector<std::string>& urls, bool usable) {
    for (std::size_t slot = 1; slot <= slots; ++slot) {
        const std::string name = part_name(slot);
        if (!in_->status(name)) {
            // A run that was killed between the state and its part.
            const auto state = in_->status(state_name(name));
            if (state && is_own_file(*state)) in_->remove(state_name(name));
            return std::nullopt;
        }
        if (!open_slot(slot)) continue;
        auto saved = read_state();
        if (usable && saved)
            for (const std::string& url : urls)
                if (saved->url == without_password(url)) return saved;
        discard();
    }
    return std::nullopt;
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
    const auto done = co_await rondo::as_result(file_.allocate(0, *length));
    if (!done && done.error().value() == ENOSPC)
        throw refused(
            fmt::format("no space for {}: {} are needed", printable(name_), bytes_text(*length)));
}

rondo::task<> part_file::write(std::string_view bytes, std::uint64_t offset) {
    try {
        co_await file_.write_all_at(bytes, offset);
    } catch (const std::system_error& error) {
        refuse_file(error.code().value(), "write", name_);
    }
}

rondo::task<> part_file::write_state(const std::string* name, const std::string* text) {
    const std::string scratch = in_->scratch_name();
    file_number opened = in_->open(scratch, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!opened) refuse_file(errno, "create", *name);
    int error = 0;
    try {
        rondo::file state = rondo::file::adopt(opened.get(), *name);
        opened.release();
        co_await state.write_all(*text);
        co_await state.sync_data();
    } catch (const std::system_error& failure) {
        error = failure.code().value();
    } catch (...) {  // cancelled
        in_->remove(scratch);
        throw;
    }
    if (error == 0) error = in_->rename(scratch, *name, true);
    if (error == 0) co_return;
    in_->remove(scratch);
    refuse_file(error, "write", *name);
}

/// Gives the file the name of a part. The state comes first: a part without one is not ours.
rondo::task<bool> part_file::publish(const std::string* text) {
    for (std::size_t slot = 1; slot <= slots; ++slot) {
        const std::string name = part_name(slot);
        const std::string state = state_name(name);
        if (in_->status(name) || in_->status(state)) continue;
        lock_file(number_);  // it has no name yet: no other process has it open
        co_await write_state(&state, text);
        const int error = give_name(name, false);
        if (error == 0) {
            is_published_ = true;
            co_return true;
        }
        in_->remove(state);
        if (error != EEXIST) refuse_file(error, "create", name);
    }
    co_return false;  // everything is taken: this download cannot be resumed
}

rondo::task<> part_file::save(saved_state state) {
    if (!file_.is_open()) co_return;
    struct stat status {};
    if (::fstat(number_, &status) != 0) co_return;
    state.inode = status.st_ino;
    const std::string text = state_text(state);
    if (text.size() > state_bytes_max) co_return;
    co_await sync();
    if (!is_published_) {
        co_await publish(&text);
    } else {
        const std::string name = state_name(current_);
        co_await write_state(&name, &text);
    }
}

void part_file::discard() {
    file_ = {};
    number_ = -1;
    if (!current_.empty()) in_->remove(current_);
    if (is_published_) in_->remove(state_name(current_));
    current_.clear();
    is_published_ = false;
}

rondo::task<> part_file::sync() {
    try {
        co_await file_.sync_data();
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
    file_ = {};
}

}  // namespace downloader
