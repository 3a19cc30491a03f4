// SPDX-License-Identifier: MIT
// Files: entries of the ring, described.
#include <rondo/file.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <rondo/detail/descriptor.hpp>

namespace rondo {
inline namespace v0 {

namespace {

constexpr std::size_t transfer_max = 1u << 30;  // a result is an int
constexpr std::size_t async_least =
    256 * 1024;  // io_uring copies smaller ones faster than it hands them over

constexpr auto open_kind = detail::operation_kind("open");
constexpr auto read_kind = detail::operation_kind("read");
constexpr auto sync_kind = detail::operation_kind("fsync");
constexpr auto size_kind = detail::operation_kind("statx");

int flags_of(open_mode mode, const open_options& options) noexcept {
    constexpr int of_mode[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_APPEND};
    return of_mode[static_cast<int>(mode)] | O_CLOEXEC | (options.create ? O_CREAT : 0) |
           (options.exclusive ? O_EXCL : 0) | (options.truncate ? O_TRUNC : 0);
}

chunk filled(detail::operation_state& read) noexcept {
    const auto count = static_cast<std::size_t>(read.result);
    if (count == 0 && read.ask.length != 0) return {};
    return {reinterpret_cast<char*>(read.ask.address), count};
}

}  // namespace

task<file> file::open_path(std::string path, open_mode mode, open_options options) {
    if (path.find('\0') != path.npos) detail::throw_system_error(EINVAL, "open", path.c_str());
    detail::request ask;
    ask.code = detail::opcode::openat;
    ask.address = detail::address_of(path.c_str());
    ask.length = (options.create ? options.permissions : 0);
    ask.op_flags = static_cast<std::uint32_t>(flags_of(mode, options));
    operation<int> opening(open_kind, nullptr, ask,
                           [](detail::operation_state& done) { return int(done.result); });
    const result<int> number = co_await as_result(std::move(opening));
    if (!number) detail::throw_system_error(number.error().value(), "open", path);
    co_return file(detail::adopt_or_close(*number, path));
}

operation<chunk> file::read_at(buffer_view into, std::uint64_t offset) {
    detail::request ask;
    ask.code = detail::opcode::read;
    ask.address = detail::address_of(into.data());
    ask.length = static_cast<std::uint32_t>(std::min(into.size(), transfer_max));
    ask.offset = offset;
    ask.flags = ask.length >= async_least ? std::uint8_t{detail::entry_async} : std::uint8_t{0};
    return {read_kind, record(), ask, filled};
}

detail::file_writing file::write_all_at(const_buffer data, std::uint64_t offset) {
    return {record(), data, offset};
}

operation<void> file::sync() {
    detail::request ask;
    ask.code = detail::opcode::fsync;
    return {sync_kind, record(), ask, [](detail::operation_state&) {}};
}

task<std::uint64_t> file::size() {
    struct statx status {};
    detail::request ask;
    ask.code = detail::opcode::statx;
    ask.address = detail::address_of("");
    ask.length = STATX_SIZE;
    ask.offset = detail::address_of(&status);
    ask.op_flags = AT_EMPTY_PATH;
    operation<void> asking(size_kind, record(), ask, [](detail::operation_state&) {});
    co_await std::move(asking);
    co_return status.stx_size;
}

}  // namespace v0
}  // namespace rondo
