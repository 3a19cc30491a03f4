// SPDX-License-Identifier: MIT
// Files, through the ring: opening, reading and writing block nobody's loop.
//
// Reads and writes are either at an offset, of which any number may be in flight, or sequential, at
// the position that the kernel keeps, of which only one should be. Large ones go to a worker of the
// kernel's: what is in the page cache is copied at once otherwise, by the loop's own thread, 150 us
// for each MiB.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
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
    bool no_follow = false;       ///< a symbolic link is an error (O_NOFOLLOW)
    bool data_sync = false;       ///< each write has reached the disk when it returns (O_DSYNC)
    /// Past the page cache (O_DIRECT): memory, offsets and sizes are multiples of the device's block,
    /// or reads and writes are EINVAL. See aligned_buffer.
    bool direct = false;
    unsigned permissions = 0666;  ///< of a file that is created; less the umask
};
static_assert(std::is_trivially_destructible_v<open_options>);

/// What a path leads to.
enum class file_kind : std::uint8_t {
    none, regular, directory, symbolic_link, fifo, socket, block_device, character_device
};

/// What the system knows of a file.
struct file_status {
    using time = std::chrono::system_clock::time_point;
    file_kind kind = file_kind::none;
    unsigned permissions = 0;  ///< 0644 and the like
    std::uint64_t size = 0;    ///< in bytes
    std::uint64_t links = 0;
    std::uint64_t inode = 0;
    std::uint64_t device = 0;
    unsigned uid = 0;
    unsigned gid = 0;
    time accessed{}, modified{}, changed{};
};
static_assert(std::is_trivially_destructible_v<file_status>);

namespace detail {

template <std::size_t Count>
class file_write_awaiter : public write_awaiter {
public:
    file_write_awaiter(descriptor_record* to, const const_buffer (&parts)[Count],
                       std::uint64_t offset) noexcept
        : write_awaiter(to, copy_, Count, offset) {
        for (std::size_t i = 0; i < Count; ++i) copy_[i] = parts[i];
        count_bytes();
    }

private:
    const_buffer copy_[Count];
};

/// What file::write_all gives.
template <std::size_t Count>
class [[nodiscard("a write does nothing until it is awaited")]] file_writing : only_in_tasks {
public:
    template <class... Parts>
    file_writing(descriptor_record* file, std::uint64_t offset, const Parts&... parts) noexcept
        : file_(file), parts_{parts...}, offset_(offset) {}
    file_write_awaiter<Count> rondo_awaiter()&& noexcept { return {file_, parts_, offset_}; }

private:
    descriptor_record* file_;
    const_buffer parts_[Count];
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
    /// A FIFO is open when its other end is, as open(2) has it: rondo looks every 1 to 32 ms.
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

    /// Fills all of `into` from `offset` on.
    /// Throws: incomplete_read_error, with what there was, where the file is shorter.
    task<> read_exactly_at(buffer_view into, std::uint64_t offset);
    /// Reads into several buffers, one after the other, in one go. They and the list are borrowed.
    /// Returns: how many bytes; 0 at the end.
    /// See: preadv(2).
    operation<std::size_t> read_parts_at(std::span<const buffer_view> parts, std::uint64_t offset);

    /// Writes all of it at the file's position.
    /// Throws: write_error, which says how many bytes went; the position is behind them.
    /// Cancel: a part may have been written.
    /// See:    write(2).
    detail::file_writing<1> write_all(const_buffer data) { return {record(), position, data}; }
    /// The same at an offset; the position stays.
    /// See: pwrite(2).
    detail::file_writing<1> write_all_at(const_buffer data, std::uint64_t offset) {
        return {record(), offset, data};
    }
    /// Several buffers, one after the other, in one go: `write_all(head, body)`.
    /// See: writev(2).
    template <class... Parts>
        requires(sizeof...(Parts) > 1 && (std::is_constructible_v<const_buffer, Parts&> && ...))
    detail::file_writing<sizeof...(Parts)> write_all(Parts&&... parts) {
        return {record(), position, const_buffer(parts)...};
    }

    /// Returns when what was written is on the disk; sync_data without what nobody needs for
    /// reading it back (times).
    /// Throws: std::system_error. See: fsync(2), fdatasync(2).
    operation<void> sync();
    operation<void> sync_data();

    /// Cuts it, or adds zeros, to `size` bytes.
    /// Throws: std::system_error. Cancel: done, or not. See: ftruncate(2).
    task<> truncate(std::uint64_t size);
    /// Reserves room on the disk; `keep_size` leaves the file as long as it is.
    /// Throws: std::system_error: ENOSPC, EOPNOTSUPP. See: fallocate(2).
    operation<void> allocate(std::uint64_t offset, std::uint64_t size, bool keep_size = false);

    /// What it is.
    /// Throws: std::system_error. See: statx(2).
    task<file_status> status();
    /// A file without a name (temporary_file) gets one.
    /// Throws: std::system_error, EEXIST where there is one already.
    task<> link_to(std::string path);

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
    friend RONDO_API task<file> temporary_file(std::string directory);
    static task<file> open_path(std::string path, open_mode mode, open_options options,
                                int more_flags = 0);
    explicit file(descriptor fd) noexcept : fd_(std::move(fd)) {}
    detail::descriptor_record* record() const noexcept {
        RONDO_ASSERT(fd_.record() != nullptr,
                     "this file is empty: it was moved from or never opened");
        return fd_.record();
    }

    descriptor fd_;
};

/// A file without a name, for reading and writing, in the file system of `directory`. It goes when it
/// is closed, unless link_to gives it a name.
/// Throws: std::system_error. See: O_TMPFILE in open(2).
RONDO_API task<file> temporary_file(std::string directory = "/tmp");

/// Memory for files that were opened with `direct`.
class RONDO_API aligned_buffer {
public:
    static constexpr std::size_t alignment = 4096;
    /// Throws: std::bad_alloc.
    explicit aligned_buffer(std::size_t size);
    aligned_buffer(aligned_buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    aligned_buffer& operator=(aligned_buffer&& other) noexcept {
        aligned_buffer old(std::move(other));
        std::swap(data_, old.data_);
        std::swap(size_, old.size_);
        return *this;
    }
    ~aligned_buffer();
    char* data() noexcept { return data_; }
    const char* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }

private:
    char* data_;
    std::size_t size_;
};

}  // namespace v0
}  // namespace rondo
