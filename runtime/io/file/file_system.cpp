// SPDX-License-Identifier: MIT
// Operations on paths: io_uring operations if it has them, otherwise calls on a thread.
#include <rondo/file_system.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <system_error>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/executor.hpp>
#include <rondo/loop.hpp>
#include <rondo/sleep.hpp>

#include "io/file/file_status.hpp"

namespace rondo {
inline namespace v0 {

namespace {

constexpr auto path_status_kind = detail::operation_kind("statx");
constexpr auto rename_kind = detail::operation_kind("rename");
constexpr auto unlink_kind = detail::operation_kind("unlink");
constexpr auto rmdir_kind = detail::operation_kind("rmdir");
constexpr auto mkdir_kind = detail::operation_kind("mkdir");
constexpr auto path_link_kind = detail::operation_kind("link");
constexpr auto symlink_kind = detail::operation_kind("symlink");

constexpr auto working_folder = static_cast<std::uint32_t>(AT_FDCWD);

/// Throws if `path` contains a NUL, at which the kernel would cut it off.
void check_path(const std::string& path, const char* verb) {
    if (path.find('\0') != path.npos) detail::throw_system_error(EINVAL, verb, path.c_str());
}

detail::request on_path(detail::opcode code, const std::string& path) noexcept {
    detail::request ask;
    ask.code = code;
    ask.address = detail::address_of(path.c_str());
    return ask;
}

/// Runs an operation on paths. The paths in `ask` must be valid until the await has ended.
task<> change(const detail::wait_kind& kind, detail::request ask, std::string shown) {
    operation<void> changing(kind, nullptr, ask, [](detail::operation_state&) {});
    const result<void> done = co_await as_result(std::move(changing));
    if (!done) detail::throw_system_error(done.error().value(), kind.what, shown);
}

/// Result of a call on a thread: `error` is 0 or -errno.
template <class T>
class called {
public:
    int error = 0;
    T value{};
    called() = default;
};

/// Calls `call` and turns an exception into -ENOMEM.
template <class F>
auto guarded_call(F call) noexcept {
    decltype(call()) result;
    try {
        result = call();
    } catch (...) {
        result.error = -ENOMEM;
    }
    return result;
}

called<std::string> read_link_on_thread(detail::system& os, const std::string& path) {
    return guarded_call([&] {
        called<std::string> result;
        result.error = detail::read_link(os, path.c_str(), result.value);
        return result;
    });
}
called<std::uintmax_t> remove_tree_on_thread(detail::system& os, const std::string& path) {
    return guarded_call([&] {
        called<std::uintmax_t> result;
        result.error = detail::remove_tree(os, path.c_str(), result.value);
        return result;
    });
}
called<bool> make_directories_on_thread(detail::system& os, const std::string& path) {
    return guarded_call([&] {
        called<bool> result;
        result.error = detail::make_directories(os, path.c_str());
        return result;
    });
}

called<std::vector<directory_entry>> list_on_thread(detail::system& os, const std::string& path) {
    return guarded_call([&] {
        called<std::vector<directory_entry>> result;
        const auto each = [](void* list, const char* name, unsigned mode) {
            directory_entry entry;
            entry.name = name;
            if (mode != 0) entry.kind = detail::kind_of_mode(mode);
            static_cast<std::vector<directory_entry>*>(list)->push_back(std::move(entry));
        };
        result.error = detail::list_directory(os, path.c_str(), each, &result.value);
        return result;
    });
}

/// Runs `fn` on a thread and throws its error. The system may be a simulated one with its own
/// files.
template <class T>
task<T> on_thread(called<T> (*fn)(detail::system&, const std::string&), const char* verb,
                  std::string path) {
    check_path(path, verb);
    const std::shared_ptr<detail::system> os = detail::system_here();
    auto call = to_thread(fn, std::ref(*os), std::cref(path));
    called<T> result = co_await call;
    if (result.error < 0) detail::throw_system_error(-result.error, verb, path);
    co_return std::move(result.value);
}

/// Name of the new file that replaces `path`: beside it, and short enough for every file system.
std::string name_beside(const std::string& path, std::uint64_t chance) {
    constexpr std::size_t name_max = 255;
    const std::string end = ".new-" + std::to_string(chance);
    const std::size_t name = path.find_last_of('/') + 1;
    const bool fits = path.size() - name + end.size() <= name_max;
    return (fits ? path : path.substr(0, name)) + end;
}

std::string parent_of(const std::string& path) {
    const std::size_t end = path.find_last_of('/');
    if (end == path.npos) return ".";
    return end == 0 ? "/" : path.substr(0, end);
}

}  // namespace

task<file_status> status_of(std::string path, bool follow_links) {
    check_path(path, "statx");
    struct statx status {};
    detail::request ask = on_path(detail::opcode::statx, path);
    ask.length = STATX_BASIC_STATS;
    ask.offset = detail::address_of(&status);
    ask.op_flags = follow_links ? 0 : AT_SYMLINK_NOFOLLOW;
    co_await change(path_status_kind, ask, path);
    co_return detail::file_status_of(status);
}

task<bool> path_exists(std::string path) {
    try {
        const file_status status = co_await status_of(path, false);
        co_return status.kind != file_kind::none;
    } catch (const std::system_error& error) {
        const int code = error.code().value();
        if (code != ENOENT && code != ENOTDIR) throw;
    }
    co_return false;
}

task<> rename_path(std::string from, std::string to, bool no_replace) {
    check_path(from, "rename");
    check_path(to, "rename");
    detail::request ask = on_path(detail::opcode::renameat, from);
    ask.length = working_folder;
    ask.offset = detail::address_of(to.c_str());
    ask.op_flags = no_replace ? RENAME_NOREPLACE : 0;
    co_await change(rename_kind, ask, from + " -> " + to);
}

task<> remove_file(std::string path) {
    check_path(path, "unlink");
    co_await change(unlink_kind, on_path(detail::opcode::unlinkat, path), path);
}

task<> remove_directory(std::string path) {
    check_path(path, "rmdir");
    detail::request ask = on_path(detail::opcode::unlinkat, path);
    ask.op_flags = AT_REMOVEDIR;
    co_await change(rmdir_kind, ask, path);
}

task<> make_directory(std::string path, unsigned permissions) {
    check_path(path, "mkdir");
    detail::request ask = on_path(detail::opcode::mkdirat, path);
    ask.length = permissions;
    co_await change(mkdir_kind, ask, path);
}

task<> make_link(std::string to, std::string path) {
    check_path(to, "link");
    check_path(path, "link");
    detail::request ask = on_path(detail::opcode::linkat, to);
    ask.length = working_folder;
    ask.offset = detail::address_of(path.c_str());
    co_await change(path_link_kind, ask, to + " -> " + path);
}

task<> make_symbolic_link(std::string to, std::string path) {
    check_path(to, "symlink");
    check_path(path, "symlink");
    detail::request ask = on_path(detail::opcode::symlinkat, to);
    ask.offset = detail::address_of(path.c_str());
    co_await change(symlink_kind, ask, path);
}

task<std::string> read_symbolic_link(std::string path) {
    return on_thread(read_link_on_thread, "readlink", std::move(path));
}
task<std::uintmax_t> remove_tree(std::string path) {
    return on_thread(remove_tree_on_thread, "remove", std::move(path));
}
task<> make_directories(std::string path) {
    const bool made = co_await on_thread(make_directories_on_thread, "mkdir", std::move(path));
    static_cast<void>(made);
}
task<std::vector<directory_entry>> list_directory(std::string path) {
    return on_thread(list_on_thread, "list", std::move(path));
}

// -- whole files ----------------------------------------------------------------------------------

namespace {

[[noreturn]] void throw_too_large(const std::string& path, std::size_t limit) {
    throw limit_error("read_file " + path + ": more than " + std::to_string(limit) + " bytes");
}

/// Checks before reading. The size alone is no proof: files in /sys report too much.
task<> refuse_larger(file* from, std::uint64_t size, std::size_t limit) {
    if (size <= limit) co_return;
    std::array<char, 1> beyond;
    const chunk some = co_await from->read_at(beyond, limit);
    if (some) throw_too_large(from->path(), limit);
}

}  // namespace

task<std::string> read_file(std::string path, std::size_t limit) {
    file from = co_await file::open(path);
    const std::uint64_t size = co_await from.size();
    co_await refuse_larger(&from, size, limit);
    std::string all;
    std::size_t have = 0;
    for (;;) {
        if (have > limit) throw_too_large(path, limit);
        const std::size_t likely = static_cast<std::size_t>(std::min<std::uint64_t>(size, limit));
        all.resize(std::max({have + 4096, likely + 1, have + have / 2}));
        const buffer_view room(all.data() + have, all.size() - have);
        const chunk some = co_await from.read_some(room);
        if (!some) break;
        have += some.size();
    }
    all.resize(have);
    co_return all;
}

task<> write_file(std::string path, const_buffer data) {
    file to = co_await file::create(path);
    co_await to.write_all(data);
    co_await to.close();
}

task<> append_to_file(std::string path, const_buffer data) {
    open_options options;
    options.create = true;
    file to = co_await file::open(path, open_mode::append, options);
    co_await to.write_all(data);
    co_await to.close();
}

namespace {

/// `made` is set if there is a file to remove; otherwise the name belongs to another file.
task<> write_new(std::string path, const_buffer data, replace_options how, bool* made) {
    open_options options;
    options.create = options.exclusive = true;
    options.permissions = how.permissions;
    file to = co_await file::open(path, open_mode::write, options);
    *made = true;
    co_await to.write_all(data);
    if (how.sync) co_await to.sync();
    co_await to.close();
}

task<> sync_directory(std::string path) {
    file folder = co_await file::open(path);
    co_await folder.sync();
}

}  // namespace

task<> replace_file(std::string path, const_buffer data, replace_options options) {
    const std::string beside = name_beside(path, detail::random(detail::running()));
    std::exception_ptr error;
    bool made = false;
    try {
        co_await write_new(beside, data, options, &made);
        co_await rename_path(beside, path);
    } catch (...) {
        error = std::current_exception();
    }
    if (error && !made) std::rethrow_exception(error);
    if (error) {
        try {
            auto removing = shield(remove_file(beside));
            co_await std::move(removing);
        } catch (const std::system_error&) {  // it did not exist
        }
        std::rethrow_exception(error);
    }
    if (options.sync) co_await sync_directory(parent_of(path));
}

}  // namespace v0
}  // namespace rondo
