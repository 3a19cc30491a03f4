// SPDX-License-Identifier: MIT
// Files, through the ring: opening, reading and writing block nobody's loop.
//
// Reads and writes are either at an offset, of which any number may be in flight, or sequential, at
// the position that the kernel keeps, of which only one should be. Large ones go to a worker of the
// kernel's: what is in the page cache is copied at once otherwise, by the loop's own thread, 150 us
// for each MiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/buffer.hpp>
#include <rondo/operation.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// What a file is opened for.
enum class open_mode : std::uint8_t { read, write, read_write, append };

/// What else is to be done when a file is opened.
struct open_options {
    bool create = false;          ///< if it is not there
    bool exclusive = false;       ///< with create: it must not be there
    bool truncate = false;        ///< what is in it goes
    unsigned permissions = 0666;  ///< of a file that is created; less the umask
};
static_assert(std::is_trivially_destructible_v<open_options>);

namespace detail {

class file_write_awaiter : public write_awaiter {
public:
    file_write_awaiter(descriptor_record* to, const_buffer data, std::uint64_t offset) noexcept
        : write_awaiter(to, &data_, offset), data_(data) {
        count_bytes();
    }

private:
    const_buffer data_;
};

/// What file::write_all gives.
class [[nodiscard("a write does nothing until it is awaited")]] file_writing : only_in_tasks {
public:
    file_writing(descriptor_record * file, const_buffer data, std::uint64_t offset) noexcept
        : file_(file), data_(data), offset_(offset) {}
    file_write_awaiter rondo_awaiter()&& noexcept { return {file_, data_, offset_}; }

private:
    descriptor_record* file_;
    const_buffer data_;
    std::uint64_t offset_;
};

}  // namespace detail

/// An open file. Move-only; the destructor closes it.
/// Thread: its loop's.
class RONDO_API file {
public:
    /// Not open.
    file() noexcept = default;

    /// A path is whatever a std::string can be made of: text, std::filesystem::path.
    /// Throws: std::system_error: "open /x/y: No such file or directory".
    /// Cancel: a file that was opened anyway is returned, and the next wait throws.
    /// See:    open(2).
    template <class Path>
    static task<file> open(const Path& path, open_mode mode = open_mode::read,
                           open_options options = {}) {
        return open_path(std::string(path), mode, options);
    }
    /// For writing, empty, whether it was there or not.
    template <class Path>
    static task<file> create(const Path& path) {
        open_options options;
        options.create = options.truncate = true;
        return open_path(std::string(path), open_mode::write, options);
    }

    /// Reads on at the file's position, at least one byte.
    /// Returns: the filled part; false at the end.
    /// Throws:  std::system_error.
    /// See:     read(2).
    operation<chunk> read_some(buffer_view into) { return read_at(into, position); }
    /// The same at an offset; the position stays.
    /// See: pread(2).
    operation<chunk> read_at(buffer_view into, std::uint64_t offset);

    /// Writes all of it at the file's position.
    /// Throws: write_error, which says how many bytes went.
    /// Cancel: a part may have been written.
    /// See:    write(2).
    detail::file_writing write_all(const_buffer data) { return write_all_at(data, position); }
    /// The same at an offset; the position stays.
    /// See: pwrite(2).
    detail::file_writing write_all_at(const_buffer data, std::uint64_t offset);

    /// Returns when what was written is on the disk.
    /// Throws: std::system_error. See: fsync(2).
    operation<void> sync();

    /// In bytes.
    /// Throws: std::system_error. See: statx(2).
    task<std::uint64_t> size();

    bool is_open() const noexcept { return fd_.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }
    /// As it was given to open.
    const std::string& path() const noexcept { return fd_.name(); }

    /// Closes it; what is in flight on it ends with ECANCELED. May be ignored, or awaited until it
    /// is really closed.
    /// Throws: awaited: std::system_error; some file systems say only here that a write has failed.
    /// Cancel: awaited: leaves; it is closed all the same.
    detail::closing close() noexcept { return fd_.close(); }

private:
    static constexpr std::uint64_t position = ~std::uint64_t{0};
    static task<file> open_path(std::string path, open_mode mode, open_options options);
    explicit file(descriptor fd) noexcept : fd_(std::move(fd)) {}
    detail::descriptor_record* record() const noexcept {
        RONDO_ASSERT(fd_.record() != nullptr,
                     "this file is empty: it was moved from or never opened");
        return fd_.record();
    }

    descriptor fd_;
};

}  // namespace v0
}  // namespace rondo
