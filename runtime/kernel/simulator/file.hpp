// SPDX-License-Identifier: MIT
// The simulated file system, in memory: regular files, directories, symbolic links, and the names
// of Unix sockets. A test's world has /, /tmp, /var/tmp and the working directory, /home. There are
// no users, so no permission is refused.
//
// If a transfer at the current position moves fewer bytes than requested, the seed decides whether
// it advances the position: io_uring does not if an error ended the transfer.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/simulator/buffer.hpp"
#include "kernel/simulator/content.hpp"
#include "kernel/simulator/core.hpp"

struct statx;

namespace rondo {
inline namespace v0 {
namespace detail {

struct sim_node {
    std::uint64_t number = 0;
    std::uint32_t links = 1;
    unsigned mode = S_IFREG | 0644;
    time_point modified{};
    sim_content bytes;
    std::string target;  // of a symbolic link

    bool is_directory() const noexcept { return S_ISDIR(mode); }
    bool is_link() const noexcept { return S_ISLNK(mode); }
    bool is_file() const noexcept { return S_ISREG(mode); }
};

/// One open file description.
struct sim_file {
    std::uint32_t index = 0;
    std::uint32_t references = 1;  // descriptors that share it
    std::shared_ptr<sim_node> node;
    std::string path;
    int flags = 0;
    std::uint64_t position = 0;
};

/// The place that a path leads to.
struct sim_place {
    int error = 0;                   // -errno if it leads nowhere
    std::string name;                // absolute, without ".", ".." and links
    std::shared_ptr<sim_node> node;  // null: nothing is there, but the directory above it is
    bool as_directory = false;       // it ends in "/", "." or ".."
};

class sim_file_system {
public:
    explicit sim_file_system(sim_core& core);

    /// Makes a file, with the directories above it. Returns: 0 or -errno.
    int put(std::string_view path, std::string_view bytes);
    std::optional<std::string> get(std::string_view path) const;

    /// Opens `path`; if it is relative, below `base` unless that is null. Sets `file` and returns
    /// 0, or returns -errno.
    int open(const sim_file* base, const char* path, int flags, unsigned mode, sim_file*& file);
    /// Drops one reference; the last one closes the file.
    void close(sim_file& file) noexcept;
    int truncate(sim_file& file, std::uint64_t size);

    // tree.cpp: names
    sim_place find(const sim_file* base, std::string_view path, bool follow) const;
    int make_directory(std::string_view path, unsigned mode);
    int make_directories(std::string_view path);
    int remove(std::string_view path, bool directory);
    int remove_tree(std::string_view path, std::uint64_t& count);
    int rename(std::string_view from, std::string_view to, unsigned flags);
    int link(std::string_view from, std::string_view to);
    int make_link(std::string_view target, std::string_view path);
    /// The name of a Unix socket. Returns: 0 or -errno.
    int make_socket(std::string_view path);
    /// Returns: 0 if a socket's name is at `path`, or the -errno of connect(2).
    int find_socket(std::string_view path) const;
    /// Calls `each` with `word`, the name and the st_mode of each entry of a directory.
    int list(std::string_view path, void (*each)(void*, const char*, unsigned), void* word) const;
    int read_link(std::string_view path, std::string& target) const;

    /// Runs read, readv, write, writev, fsync, fallocate, ftruncate or poll_add on an open file.
    std::int32_t attempt(sim_operation& operation);
    /// statx(2) on a path, or on `base` itself if the path is empty.
    int status(const sim_file* base, const char* path, int flags, struct statx* result) const;

private:
    std::shared_ptr<sim_node> at(std::string_view name) const;
    std::shared_ptr<sim_node> make(unsigned mode);
    std::shared_ptr<sim_node> make(const std::string& name, unsigned mode);
    std::size_t directories_in(const std::string& name) const;
    bool is_empty(const std::string& name) const;
    void erase(const std::string& name);
    void move_directory(const std::string& from, const std::string& to);
    std::uint64_t room() const;
    std::int32_t read(sim_operation& operation);
    std::int32_t write(sim_operation& operation);
    std::int32_t allocate(sim_operation& operation);

    sim_core& core_;
    std::map<std::string, std::shared_ptr<sim_node>, std::less<>> nodes_;  // by absolute name
    std::uint64_t made_ = 0;
    sim_slab<sim_file> files_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
