// SPDX-License-Identifier: MIT
// The simulated file system: regular files by path, in memory. Directories exist because something
// lies in them, so a test puts "in/a.txt" and a program may create "out/a.txt" without either
// making a folder. What is not there: permissions, links, times.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "sim_buffer.hpp"
#include "sim_core.hpp"

struct statx;

namespace rondo {
inline namespace v0 {
namespace detail {

struct sim_node {
    std::uint64_t number = 0;
    std::string bytes;
};

/// One open file description.
struct sim_file {
    std::uint32_t index = 0;
    std::uint32_t references = 1;  // descriptors that share it
    sim_node* node = nullptr;  // null: a directory
    std::string path;
    int flags = 0;
    std::uint64_t position = 0;
};

class sim_file_system {
public:
    explicit sim_file_system(sim_core& core) noexcept : core_(core) {}

    void put(std::string_view path, std::string_view bytes);
    std::optional<std::string> get(std::string_view path) const;

    /// Opens `path`, from `base` on where it is relative and base is not null. `file` is set where
    /// the result is 0.
    int open(const sim_file* base, const char* path, int flags, sim_file*& file);
    /// One descriptor less; the last one closes it.
    void close(sim_file& file) noexcept;
    int truncate(sim_file& file, std::uint64_t size);

    /// read, readv, write, writev, fsync, fallocate, ftruncate, poll_add on an open file.
    std::int32_t attempt(sim_operation& operation);
    /// statx(2) on a path, or on `base` itself where the path is empty.
    int status(const sim_file* base, const char* path, int flags, struct statx* result);

private:
    static std::string clean(const sim_file* base, std::string_view path);
    bool is_directory(const std::string& path) const;
    int missing(const std::string& path) const;
    sim_node& make(const std::string& path);
    std::int32_t read(sim_operation& operation);
    std::int32_t write(sim_operation& operation);
    std::int32_t allocate(sim_operation& operation);

    sim_core& core_;
    std::map<std::string, sim_node, std::less<>>
        nodes_;  // nothing leaves: open files point into it
    sim_slab<sim_file> files_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
