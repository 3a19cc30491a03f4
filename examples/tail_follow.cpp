// SPDX-License-Identifier: MIT
// Shows `tail -F`: prints text that is appended to a file, also after the file was rotated and
// replaced. The task waits for changes of the directory (inotify).
// Run: tail_follow /var/log/syslog
#include <array>
#include <filesystem>
#include <string>
#include <system_error>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

// Prints the file from `at` to its end, and advances `at`.
rondo::task<> show_rest(rondo::file& from, std::uint64_t& at) {
    std::array<char, 16 * 1024> buffer;
    const std::uint64_t size = co_await from.size();
    if (size < at) at = 0;  // it was truncated
    while (const auto some = co_await from.read_at(buffer, at)) {
        fmt::print("{}", static_cast<std::string_view>(some.text()));
        at += some.size();
    }
    std::fflush(stdout);
}

rondo::task<> follow(std::filesystem::path path) {
    const std::string folder = path.has_parent_path() ? path.parent_path().string() : ".";
    const std::string name = path.filename().string();
    auto changes = rondo::watch_directory(folder);  // before the file is opened, to miss no change
    auto file = co_await rondo::file::open(path.string());
    std::uint64_t at = co_await file.size();
    while (const auto change = co_await changes.next()) {
        using kind = rondo::directory_event::kind;
        const bool lost = change->what == kind::overflow;  // a lost event may be about our file
        if (change->name != name && !lost) continue;
        const bool another =
            lost || change->what == kind::created || change->what == kind::moved_to;
        co_await show_rest(file, at);
        if (!another) continue;
        file = co_await rondo::file::open(path.string());
        at = 0;
        co_await show_rest(file, at);
    }
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: {} FILE\n", argv[0]);
        return 2;
    }
    try {
        rondo::run(follow(argv[1]));
    } catch (const std::system_error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
