// SPDX-License-Identifier: MIT
// Descriptors, and one write for all lines that wait.
#include "output.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rondo/shield.hpp>
#include <rondo/to_thread.hpp>

namespace crawler {

namespace {

/// Returns: 0, or the number of the error.
int write_whole(int to, std::string_view text) {
    while (!text.empty()) {
        const auto size = ::write(to, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno;
        text.remove_prefix(static_cast<std::size_t>(size));
    }
    return 0;
}

bool ends_inside_a_line(int file) {
    struct stat status {};
    char last = '\n';
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
        return false;
    return ::pread(file, &last, 1, status.st_size - 1) == 1 && last != '\n';
}

}  // namespace

output::output(const std::string& path)
    : to_(STDOUT_FILENO), is_ours_(!path.empty()), name_(path.empty() ? "standard output" : path) {
    if (!is_ours_) return;
    // O_RDWR: the last byte is read. A pipe or a device may allow less.
    to_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (to_ < 0 && errno == EACCES) to_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (to_ < 0) throw std::system_error(errno, std::system_category(), "open " + path);
    if (ends_inside_a_line(to_)) pending_ = "\n";
}

output::~output() {
    if (is_ours_) ::close(to_);
}

rondo::task<> output::write(std::string_view line) {
    pending_ += line;
    pending_ += '\n';
    const std::uint64_t ours = ++lines_;
    co_await rondo::shield(write_pending());
    if (error_ != 0 && written_ < ours)
        throw output_error(error_, std::system_category(), "write " + name_);
}

rondo::task<> output::write_pending() {
    const std::uint64_t ours = lines_;
    const auto turn = co_await one_at_a_time_.lock();
    if (written_ >= ours || error_ != 0) co_return;
    const std::string block = std::exchange(pending_, {});
    const std::uint64_t all = lines_;
    error_ = co_await rondo::to_thread(write_whole, to_, std::string_view(block));
    if (error_ == 0) written_ = all;
}

}  // namespace crawler
