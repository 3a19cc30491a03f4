// SPDX-License-Identifier: MIT
// Opening files. An open must never wait inside the kernel: io_uring has few workers for opens, and
// FIFOs without another end would occupy them all. So a file is opened with O_NONBLOCK, which is
// cleared at once. A FIFO is polled, in growing intervals, until its other end is open.
#include <rondo/file.hpp>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/file_system.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

namespace {

using namespace std::chrono_literals;

constexpr auto open_kind = detail::operation_kind("open");

int flags_of(open_mode mode, const open_options& options) noexcept {
    constexpr int of_mode[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_APPEND};
    return of_mode[static_cast<int>(mode)] | O_CLOEXEC | (options.create ? O_CREAT : 0) |
           (options.exclusive ? O_EXCL : 0) | (options.truncate ? O_TRUNC : 0) |
           (options.no_follow ? O_NOFOLLOW : 0) | (options.data_sync ? O_DSYNC : 0) |
           (options.direct ? O_DIRECT : 0);
}

/// Pauses between two polls of a FIFO: 1 ms, 2 ms, up to 32 ms.
class backoff {
public:
    sleeping sleep_next() {
        const duration pause = pause_;
        pause_ = std::min<duration>(2 * pause_, 32ms);
        return sleep(pause);
    }

private:
    duration pause_ = 1ms;
};

/// One open(2). Returns: the descriptor's number or -errno.
task<int> try_open(const std::string* path, int flags, unsigned permissions, bool elsewhere) {
    detail::request ask;
    ask.code = detail::opcode::openat;
    ask.address = detail::address_of(path->c_str());
    ask.length = permissions;
    ask.op_flags = static_cast<std::uint32_t>(flags);
    if (elsewhere) ask.flags = detail::entry_async;
    operation<int> opening(open_kind, nullptr, ask,
                           [](detail::operation_state& done) { return int(done.result); });
    const result<int> number = co_await as_result(std::move(opening));
    co_return number ? *number : -number.error().value();
}

task<bool> is_fifo(const std::string* path) {
    const file_status status = co_await status_of(*path);
    co_return status.kind == file_kind::fifo;
}

/// ENXIO means a FIFO without a reader, for which open(2) would wait, or a socket. EAGAIN means a
/// lease that another process has to give up first.
task<int> open_number(const std::string* path, int flags, unsigned permissions) {
    backoff waiting;
    for (bool known = false;;) {
        const int number = co_await try_open(path, flags | O_NONBLOCK, permissions, false);
        if (number == -EAGAIN) {
            const int late = co_await try_open(path, flags, permissions, true);
            co_return late;
        }
        if (number != -ENXIO) co_return number;
        if (!known) known = co_await is_fifo(path);
        if (!known) co_return number;
        co_await waiting.sleep_next();
    }
}

/// Waits until the FIFO has a writer, as open(2) does.
task<> wait_for_writer(const descriptor* fifo) {
    backoff waiting;
    for (int there = 0;;) {
        there = detail::peer_of_fifo(*fifo);
        if (there < 0) detail::throw_system_error(-there, "open", fifo->name());
        if (there > 0) co_return;
        co_await waiting.sleep_next();
    }
}

/// One open relative to `folder`, whose record counts it: if the folder is closed meanwhile, its
/// number cannot become another file. Returns: the descriptor's number or -errno.
task<int> open_in(detail::descriptor_record* folder, const std::string* path, int flags) {
    detail::request ask;
    ask.code = detail::opcode::openat;
    ask.address = detail::address_of(path->c_str());
    ask.op_flags = static_cast<std::uint32_t>(flags);
    operation<int> opening(open_kind, folder, ask,
                           [](detail::operation_state& done) { return int(done.result); });
    const result<int> number = co_await as_result(std::move(opening));
    co_return number ? *number : -number.error().value();
}

/// The kernel follows links as long as they stay below the folder. The simulator does not know this
/// operation.
task<int> open_resolved_beneath(detail::descriptor_record* folder, const std::string* path,
                                int flags) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    detail::request ask;
    ask.code = detail::opcode::openat2;
    ask.address = detail::address_of(path->c_str());
    ask.length = sizeof how;
    ask.offset = detail::address_of(&how);
    operation<int> opening(open_kind, folder, ask,
                           [](detail::operation_state& done) { return int(done.result); });
    const result<int> number = co_await as_result(std::move(opening));
    co_return number ? *number : -number.error().value();
}

/// Opens one segment of the path after the other, and follows no link.
task<int> walk_beneath(detail::descriptor_record* folder, std::string_view path, int flags) {
    descriptor at;
    for (;;) {
        const std::size_t slash = path.find('/');
        const std::string segment(path.substr(0, slash));
        if (segment.empty() || segment == "..") co_return -EXDEV;
        const bool is_last = slash == path.npos;
        const int how = is_last ? flags : O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC;
        const int number = co_await open_in(folder, &segment, how | O_NOFOLLOW);
        if (number < 0 || is_last) co_return number;
        at = detail::adopt_or_close(number, segment);
        folder = at.record();
        path.remove_prefix(slash + 1);
    }
}

}  // namespace

task<file> file::open_beneath(const file& folder, std::string path) {
    const std::string name = folder.path() + '/' + path;
    if (path.empty() || path.find('\0') != path.npos)
        detail::throw_system_error(EINVAL, "open", name.c_str());
    const int flags = flags_of(open_mode::read, {}) | O_NONBLOCK;
    int number = co_await open_resolved_beneath(folder.record(), &path, flags);
    if (number == -EINVAL || number == -ENOSYS)  // the folder may have been closed meanwhile
        number = co_await walk_beneath(folder.record(), path, flags);
    if (number < 0) detail::throw_system_error(-number, "open", name);
    co_return file(detail::adopt_or_close(number, name));
}

file file::adopt(int number, std::string_view path) {
    unsigned mode = 0;
    const int known = detail::file_mode(number, mode);
    if (known < 0) detail::throw_system_error(-known, "adopt", path);
    file opened(descriptor::adopt(number, path));
    detail::note_mode(opened.fd_, mode);
    return opened;
}

task<file> file::open_path(std::string path, open_mode mode, open_options options,
                           int more_flags) {
    if (path.find('\0') != path.npos) detail::throw_system_error(EINVAL, "open", path.c_str());
    const int flags = flags_of(mode, options) | more_flags;
    const unsigned permissions = options.create || more_flags != 0 ? options.permissions : 0;
    const int number = co_await open_number(&path, flags, permissions);
    if (number < 0) detail::throw_system_error(-number, "open", path);
    file opened(detail::adopt_or_close(number, path));
    unsigned kind = 0;
    const int settled = detail::settle_open(opened.fd_, flags | O_NONBLOCK, kind);
    if (settled < 0) detail::throw_system_error(-settled, "open", path);
    if (S_ISFIFO(kind) && mode == open_mode::read) co_await wait_for_writer(&opened.fd_);
    co_return std::move(opened);
}

task<file> temporary_file(std::string directory) {
    open_options options;
    options.permissions = 0600;
    auto opening = file::open_path(std::move(directory), open_mode::read_write, options, O_TMPFILE);
    co_return co_await std::move(opening);
}

}  // namespace v0
}  // namespace rondo
