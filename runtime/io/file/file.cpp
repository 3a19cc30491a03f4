// SPDX-License-Identifier: MIT
// Files: operations of io_uring on an open file.
#include <rondo/file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/executor.hpp>

#include "io/file/file_status.hpp"

namespace rondo {
inline namespace v0 {

namespace {

constexpr std::size_t transfer_max = 1u << 30;  // a result is an int
constexpr std::size_t async_least =
    256 * 1024;  // bytes; io_uring copies fewer faster than it hands them to a worker

constexpr auto read_kind = detail::operation_kind("read");
constexpr auto sync_kind = detail::operation_kind("fsync");
constexpr auto sync_data_kind = detail::operation_kind("fdatasync");
constexpr auto truncate_kind = detail::operation_kind("ftruncate");
constexpr auto allocate_kind = detail::operation_kind("fallocate");
constexpr auto status_kind = detail::operation_kind("statx");
constexpr auto link_kind = detail::operation_kind("link");

/// In a lost race, reads at the position leave the bytes to the next read.
chunk filled(detail::operation_state& read) {
    const auto count = static_cast<std::size_t>(read.result);
    if (count == 0 && read.request.length != 0) return {};
    const bool at_position = read.request.offset == ~std::uint64_t{0};
    if (at_position && cancel_requested() && detail::has_lost_race()) {
        detail::restore_position(*read.on);
        throw cancelled();
    }
    if (at_position && count < read.request.length) detail::mend_position(*read.on, read.result);
    return {reinterpret_cast<char*>(read.request.address), count};
}

}  // namespace

operation<chunk> file::read_at(buffer_view into, std::uint64_t offset) {
    detail::request ask;
    ask.code = detail::opcode::read;
    ask.address = detail::address_of(into.data());
    ask.length = static_cast<std::uint32_t>(std::min(into.size(), transfer_max));
    ask.offset = offset;
    ask.flags = ask.length >= async_least ? std::uint8_t{detail::entry_async} : std::uint8_t{0};
    if (offset == position) detail::note_position(*record());
    return {read_kind, record(), ask, filled};
}

task<> file::read_exactly_at(buffer_view into, std::uint64_t offset) {
    for (std::size_t have = 0; have < into.size();) {
        const chunk some = co_await read_at(into.without_first(have), offset + have);
        if (!some) throw incomplete_read_error(std::string(into.data(), have), into.size());
        have += some.size();
    }
}

operation<std::size_t> file::read_parts_at(std::span<const buffer_view> parts,
                                           std::uint64_t offset) {
    static_assert(sizeof(buffer_view) == sizeof(iovec));
    std::size_t wanted = 0;
    for (const buffer_view& part : parts) wanted += part.size();
    detail::request ask;
    ask.code = detail::opcode::readv;
    ask.address = detail::address_of(parts.data());
    ask.length = static_cast<std::uint32_t>(std::min<std::size_t>(parts.size(), 1024));
    ask.offset = offset;
    ask.flags = wanted >= async_least ? std::uint8_t{detail::entry_async} : std::uint8_t{0};
    return {read_kind, record(), ask, [](detail::operation_state& done) {
                return static_cast<std::size_t>(done.result);
            }};
}

operation<void> file::sync() {
    detail::request ask;
    ask.code = detail::opcode::fsync;
    return {sync_kind, record(), ask, [](detail::operation_state&) {}};
}

operation<void> file::sync_data() {
    detail::request ask;
    ask.code = detail::opcode::fsync;
    ask.op_flags = 1;  // IORING_FSYNC_DATASYNC
    return {sync_data_kind, record(), ask, [](detail::operation_state&) {}};
}

task<> file::truncate(std::uint64_t size) {
    if (detail::knows(detail::opcode::ftruncate)) {
        detail::request ask;
        ask.code = detail::opcode::ftruncate;
        ask.offset = size;
        operation<void> cutting(truncate_kind, record(), ask, [](detail::operation_state&) {});
        co_return co_await std::move(cutting);
    }
    if (cancel_requested()) throw cancelled();
    // Works on a duplicate, so that a close meanwhile does no harm.
    const int number = detail::duplicate(fd_);
    if (number < 0) detail::throw_system_error(-number, "ftruncate", path());
    const descriptor own = detail::adopt_or_close(number, path());
    auto call = to_thread(
        [](const descriptor* on, std::uint64_t to) { return detail::truncate(*on, to); }, &own,
        size);
    const int result = co_await call;
    if (result < 0) detail::throw_system_error(-result, "ftruncate", path());
}

operation<void> file::allocate(std::uint64_t offset, std::uint64_t size, bool keep_size) {
    detail::request ask;
    ask.code = detail::opcode::fallocate;
    ask.offset = offset;
    ask.address = size;
    ask.length = keep_size ? FALLOC_FL_KEEP_SIZE : 0;
    return {allocate_kind, record(), ask, [](detail::operation_state&) {}};
}

task<file_status> file::status() {
    struct statx status {};
    detail::request ask;
    ask.code = detail::opcode::statx;
    ask.address = detail::address_of("");
    ask.length = STATX_BASIC_STATS;
    ask.offset = detail::address_of(&status);
    ask.op_flags = AT_EMPTY_PATH;
    operation<void> asking(status_kind, record(), ask, [](detail::operation_state&) {});
    co_await std::move(asking);
    co_return detail::file_status_of(status);
}

task<std::uint64_t> file::size() {
    const file_status now = co_await status();
    co_return now.size;
}

task<> file::link_to(std::string to) {
    if (to.find('\0') != to.npos) detail::throw_system_error(EINVAL, "link", to.c_str());
    // A worker of the kernel looks the number up by name at some later time. So the number is one
    // that no other task can close meanwhile. AT_EMPTY_PATH needs no name, but privileges.
    const int number = detail::duplicate(fd_);
    if (number < 0) detail::throw_system_error(-number, "link", to);
    const descriptor held = detail::adopt_or_close(number, path());
    const std::string own = "/proc/self/fd/" + std::to_string(held.number());
    detail::request ask;
    ask.code = detail::opcode::linkat;
    ask.address = detail::address_of(own.c_str());
    ask.length = static_cast<std::uint32_t>(AT_FDCWD);
    ask.offset = detail::address_of(to.c_str());
    ask.op_flags = AT_SYMLINK_FOLLOW;
    operation<void> linking(link_kind, nullptr, ask, [](detail::operation_state&) {});
    const result<void> done = co_await as_result(std::move(linking));
    if (!done) detail::throw_system_error(done.error().value(), "link", to);
}

aligned_buffer::aligned_buffer(std::size_t size)
    : data_(static_cast<char*>(::operator new(size, std::align_val_t(alignment)))), size_(size) {}
aligned_buffer::~aligned_buffer() {
    ::operator delete(data_, std::align_val_t(alignment));
}

}  // namespace v0
}  // namespace rondo
