// SPDX-License-Identifier: MIT
// The simulated file system: regular files by path, in memory. Creating a file also makes its
// parent directories, so tests and programs need not make them. There are no permissions, symbolic
// links or times.
//
// If a transfer at the current position moves fewer bytes than requested, the seed decides whether
// it advances the position: io_uring does not if an error ended the transfer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "kernel/simulator/buffer.hpp"
#include "kernel/simulator/core.hpp"

struct statx;

namespace rondo {
inline namespace v0 {
namespace detail {

struct sim_node {
    std::uint64_t number = 0;
    std::uint32_t links = 1;
    std::string bytes;
};

/// One open file description.
struct sim_file {
    std::uint32_t index = 0;
    std::uint32_t references = 1;  // descriptors that share it
    std::shared_ptr<sim_node> node;  // null: a directory
    std::string path;
    int flags = 0;
    std::uint64_t position = 0;
};

class sim_file_system {
public:
    explicit sim_file_system(sim_core& core) noexcept : core_(core) {}

    void put(std::string_view path, std::string_view bytes);
    std::optional<std::string> get(std::string_view path) const;

    /// Opens `path`; if it is relative, below `base` unless that is null. Sets `file` and returns
    /// 0, or returns -errno.
    int open(const sim_file* base, const char* path, int flags, sim_file*& file);
    /// Drops one reference; the last one closes the file.
    void close(sim_file& file) noexcept;
    int truncate(sim_file& file, std::uint64_t size);

    // tree.cpp: names
    int make_directory(const char* path);
    int make_directories(std::string_view path);
    int remove(const char* path, bool directory);
    int remove_tree(std::string_view path, std::uint64_t& count);
    int rename(const char* from, const char* to, unsigned flags);
    int link(const char* from, const char* to);
    /// Calls `each` with `word`, the name and the st_mode of each entry of a directory.
    int list(std::string_view path, void (*each)(void*, const char*, unsigned), void* word) const;
    /// Always fails, since no name is a symbolic link.
    int read_link(std::string_view path) const;

    /// Runs read, readv, write, writev, fsync, fallocate, ftruncate or poll_add on an open file.
    std::int32_t attempt(sim_operation& operation);
    /// statx(2) on a path, or on `base` itself if the path is empty.
    int status(const sim_file* base, const char* path, int flags, struct statx* result);

private:
    static std::string normalize(const sim_file* base, std::string_view path);
    bool exists(const std::string& path) const;
    bool is_directory(const std::string& path) const;
    bool is_empty(const std::string& path) const;
    int why_missing(const std::string& path) const;
    int check_parent(const std::string& path) const;
    std::shared_ptr<sim_node>& make(const std::string& path);
    void make_parents(const std::string& path);
    void move_directory(const std::string& from, const std::string& to);
    std::uint64_t room() const;
    std::int32_t read(sim_operation& operation);
    std::int32_t write(sim_operation& operation);
    std::int32_t allocate(sim_operation& operation);

    sim_core& core_;
    std::map<std::string, std::shared_ptr<sim_node>, std::less<>> nodes_;
    std::set<std::string, std::less<>> folders_;
    std::uint64_t made_ = 0;
    sim_slab<sim_file> files_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
