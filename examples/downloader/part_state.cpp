// SPDX-License-Identifier: MIT
// The part of an unfinished file and its state: finding, locking, saving.
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include "failure.hpp"
#include "names.hpp"
#include "part_file.hpp"
#include "text.hpp"

namespace downloader {

namespace {

constexpr std::size_t slots = 9;  // NAME.part, NAME.part.2, …

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

std::string part_file::part_name(std::size_t slot) const {
    const bool is_long = name_.size() > name_bytes_max;
    const std::string name = (is_long ? safe_name(name_) : name_) + ".part";
    return slot == 1 ? name : numbered(name, slot);
}

/// Another file of this run will have the name.
bool part_file::is_claimed(const std::string& name) const {
    return of_run_ != nullptr && of_run_->is_claimed(name);
}

/// True if another program has removed the part, or put a file in its place, which is not ours.
bool part_file::has_lost_name() {
    if (current_.empty() || is_still(number_, *in_, current_)) return false;
    if (is_published_) in_->remove(state_name(current_));
    current_.clear();
    is_published_ = false;
    return true;
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

/// The text of the state beside a part; empty if it is none of ours.
std::string part_file::state_text_of(const std::string& part) const {
    const file_number state = in_->open(state_name(part), O_RDONLY);
    struct stat status {};
    if (!state || ::fstat(state.get(), &status) != 0 || !is_own_file(status)) return {};
    std::string text(state_bytes_max + 1, '\0');
    const auto size = ::read(state.get(), text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
}

std::optional<saved_state> part_file::read_state() const {
    auto saved = parse_state(state_text_of(current_));
    struct stat part {};
    if (!saved || ::fstat(number_, &part) != 0 || part.st_ino != saved->inode) return std::nullopt;
    const auto size_now = static_cast<std::uint64_t>(part.st_size);
    if (!saved->done.empty() && saved->done.back().end > size_now) return std::nullopt;
    return saved;
}

std::optional<saved_state> part_file::resume(const std::vector<rondo::http::url>& urls,
                                             bool usable) {
    for (std::size_t slot = 1; slot <= slots; ++slot) {
        const std::string name = part_name(slot);
        if (is_claimed(name)) continue;
        if (!in_->status(name)) {
            // A run that was killed between the state and its part. Any other file stays.
            if (parse_state(state_text_of(name))) in_->remove(state_name(name));
            return std::nullopt;
        }
        if (!open_slot(slot)) continue;
        auto saved = read_state();
        if (usable && saved)
            for (const rondo::http::url& url : urls)
                if (saved->url == url.text()) return saved;
        discard();
    }
    return std::nullopt;
}

/// A killed run leaves nothing of a state that it was writing: the file has no name before.
/// Returns: 0, or EEXIST if the name is taken and not to be replaced.
rondo::task<int> part_file::write_state(const std::string* name, const std::string* text,
                                        bool replace) {
    std::string scratch;  // not every file system has files without a name
    file_number opened = in_->open_nameless(0600);
    if (!opened) {
        scratch = in_->scratch_name();
        opened = in_->open(scratch, O_WRONLY | O_CREAT | O_EXCL, 0600);
    }
    if (!opened) refuse_file(errno, "create", *name);
    const int number = opened.get();
    int error = 0;
    try {
        rondo::file state = rondo::file::adopt(opened.get(), *name);
        opened.release();
        co_await state.write_all(*text);
        co_await state.sync_data();
        error = scratch.empty() ? in_->link(number, *name, replace)
                                : in_->rename(scratch, *name, replace);
    } catch (const std::system_error& failure) {
        error = failure.code().value();
    } catch (...) {  // cancelled
        if (!scratch.empty()) in_->remove(scratch);
        throw;
    }
    if (error != 0 && !scratch.empty()) in_->remove(scratch);
    if (error != 0 && (error != EEXIST || replace)) refuse_file(error, "write", *name);
    co_return error;
}

/// Gives the file the name of a part. The state comes first: a part without one is not ours.
rondo::task<bool> part_file::publish(const std::string* text) {
    for (std::size_t slot = 1; slot <= slots; ++slot) {
        const std::string name = part_name(slot);
        const std::string state = state_name(name);
        if (is_claimed(name) || in_->status(name) || in_->status(state)) continue;
        lock_file(number_);  // it has no name yet: no other process has it open
        int error = co_await write_state(&state, text, false);
        if (error != 0) continue;
        error = give_name(name, false);
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
    if (!is_open()) co_return;
    struct stat status {};
    if (::fstat(number_, &status) != 0) co_return;
    state.inode = status.st_ino;
    const std::string text = state_text(state);
    if (text.size() > state_bytes_max) co_return;
    co_await sync();
    if (has_lost_name()) throw refused("its part was removed, or replaced, by another program");
    if (!is_published_) {
        co_await publish(&text);
    } else {
        const std::string name = state_name(current_);
        co_await write_state(&name, &text, true);
    }
}

}  // namespace downloader
