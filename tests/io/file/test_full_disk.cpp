// SPDX-License-Identifier: MIT
// Full disks of every kind: each way to write says how much was written.
#include <rondo/file_system.hpp>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <utility>

#include <rondo/copy.hpp>
#include <rondo/gather.hpp>
#include <rondo/pipe.hpp>
#include <rondo/run.hpp>
#include <rondo/unix.hpp>

#include "support/child.hpp"
#include "support/file_tools.hpp"
#include "support/full_disk.hpp"
#include "support/net_tools.hpp"
#include "support/rondo_test.hpp"

using namespace rondo;

namespace {

using folder = rondo_tests::named_folder;

constexpr int skipped = 77;

/// The bytes of `path`, read by plain system calls.
std::string content(const std::string& path) {
    std::string all(8 << 20, '\0');
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t size = ::read(fd, all.data(), all.size());
    ::close(fd);
    all.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return all;
}

task<> splice_into(std::string path, const std::string& all) {
    auto [from, to] = socket_pair();
    auto sender = [](unix_stream end, const std::string& bytes) -> task<> {
        unix_stream out = std::move(end);  // closed when this task ends
        try {
            co_await out.write_all(bytes);
        } catch (const std::system_error&) {
        }
    };
    auto receiver = [](unix_stream in, std::string into) -> task<> {
        auto target = from_fd(::open(into.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        co_await splice(in, target);
    };
    co_await gather(sender(std::move(to), all), receiver(std::move(from), std::move(path)));
}

task<> write_as_stream(std::string path, const std::string& all) {
    auto to = from_fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    co_await to.write_all(all);
}

task<> write_to_standard_output(std::string path, const std::string& all) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int before = ::dup(STDOUT_FILENO);
    ::dup2(fd, STDOUT_FILENO);
    std::exception_ptr failed;
    try {
        auto to = standard_output();
        co_await to.write_all(all);
    } catch (...) {
        failed = std::current_exception();
    }
    ::dup2(before, STDOUT_FILENO);
    if (failed) std::rethrow_exception(failed);
}

/// Writes 3 MiB to a full disk in every way. Result: the number of ways that failed wrongly.
int overfill(const std::string& folder) {
    const std::string all = rondo_tests::pattern(3 << 20);
    int wrong = 0;
    const auto check = [&](const char* name, task<> (*write)(std::string, const std::string&)) {
        const std::string path = folder + "/f";
        const bool replaces = write == rondo_tests::replace_whole;
        if (replaces) rondo::run(rondo_tests::write_whole(path, "old"));
        bool failed = false;
        try {
            rondo::run(write(path, all));
        } catch (const std::system_error& error) {
            const int code = error.code().value();
            failed = code == ENOSPC || code == EFBIG;
            const auto* const cut = dynamic_cast<const write_error*>(&error);
            failed = failed && (cut == nullptr || cut->bytes_written() < all.size());
        }
        const std::string left = content(path);
        const bool right = replaces ? left == "old" : all.compare(0, left.size(), left) == 0;
        ::unlink(path.c_str());
        const bool empty = std::filesystem::is_empty(folder) ||
                           std::filesystem::exists(folder + "/lost+found");
        if (failed && right && empty) return;
        ++wrong;
        std::printf("%s: failed %d, bytes right %d (%zu), empty %d\n", name, failed, right,
                    left.size(), empty);
    };
    for (const auto& way : rondo_tests::ways_to_write) check(way.name, way.write);
    check("fd_stream", write_as_stream);
    check("standard_output", write_to_standard_output);
    check("splice", splice_into);
    return wrong;
}

/// In a mount namespace of its own, which removes its mounts when it ends.
template <class Mount>
rondo_tests::child_end on_a_small_disk(const folder& in, Mount mount) {
    return rondo_tests::run_child([&] {
        if (::unshare(CLONE_NEWNS) != 0) return skipped;
        if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return skipped;
        if (!mount(in.path())) return skipped;
        return overfill(in.path());
    });
}

void check_or_skip(const rondo_tests::child_end& end, const char* what) {
    INFO(end.text);
    if (end.exited(skipped)) {
        std::printf("skipped: no %s can be mounted here\n", what);
        return;
    }
    CHECK(end.exited(0));
}

}  // namespace

TEST_CASE("files: a full tmpfs of 1 MiB is an error in every way to write", "[files][kernel]") {
    const folder in;
    check_or_skip(on_a_small_disk(in, [](const std::string& at) {
        return ::mount("none", at.c_str(), "tmpfs", 0, "size=1m") == 0;
    }), "tmpfs");
}

TEST_CASE("files: a full ext4 of 1 MiB is an error in every way to write", "[files][kernel]") {
    const folder in;
    const folder image_folder("image");
    const std::string image = image_folder / "disk";
    check_or_skip(on_a_small_disk(in, [&](const std::string& at) {
        const std::string make = "exec 2>/dev/null; truncate -s 1M " + image +
                                 " && mkfs.ext4 -q -F -O ^has_journal " + image +
                                 " && mount -o loop " + image + ' ' + at;
        return std::system(make.c_str()) == 0;
    }), "ext4");
}

TEST_CASE("files: a limit of 1 MiB is an error in every way to write", "[files][kernel]") {
    const folder in;
    const auto end = rondo_tests::run_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit mebibyte{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &mebibyte);
        return overfill(in.path());
    });
    INFO(end.text);
    CHECK(end.exited(0));
}
