// SPDX-License-Identifier: MIT
// Files, through io_uring: opening, reading and writing never block the loop.
//
// Reads and writes are either at an offset, and any number may be in flight, or at the position
// that the kernel keeps, and only one should be in flight. Large ones go to a worker thread of the
// kernel. Otherwise the loop's own thread would copy data that is in the page cache: 150 us per
// MiB.
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

/// Access that a file is opened for.
enum class open_mode : std::uint8_t { read, write, read_write, append };

/// Further options of file::open.
struct open_options {
    bool create = false;          ///< create the file if it does not exist (O_CREAT)
    bool exclusive = false;       ///< with create: it must not exist (O_EXCL)
    bool truncate = false;        ///< empty the file (O_TRUNC)
    bool no_follow = false;       ///< a symbolic link is an error (O_NOFOLLOW)
    bool data_sync = false;       ///< each write returns when its data is on the disk (O_DSYNC)
    /// Bypass the page cache (O_DIRECT). Memory, offsets and sizes must then be multiples of the
    /// device's block size, or reads and writes fail with EINVAL. See aligned_buffer.
    bool direct = false;
    unsigned permissions = 0666;  ///< of a file that is created; the umask is subtracted
};
static_assert(std::is_trivially_destructible_v<open_options>);

/// Kind of a file.
enum class file_kind : std::uint8_t {
    none, regular, directory, symbolic_link, fifo, socket, block_device, character_device
};

/// Status of a file. See: statx(2).
struct file_status {
    using time = std::chrono::system_clock::time_point;
    file_kind kind = file_kind::none;
    unsigned permissions = 0;  ///< mode bits, such as 0644
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

struct file_access;  // runtime/io/send_uncopied.cpp

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

/// Result of file::write_all; it has to be awaited.
template <std::size_t Count>
class [[nodiscard("a write does nothing until it is awaited")]] file_write_awaitable
    : only_in_tasks {
public:
    template <class... Parts>
    file_write_awaitable(descriptor_record* file, std::uint64_t offset,
                         const Parts&... parts) noexcept
        : file_(file), parts_{parts...}, offset_(offset) {}
    file_write_awaiter<Count> rondo_awaiter()&& noexcept { return {file_, parts_, offset_}; }

private:
    descriptor_record* file_;
    const_buffer parts_[Count];
    std::uint64_t offset_;
};

}  // namespace detail

/// An open file. Move-only; the destructor closes it.
/// Thread: its loop's thread.
class RONDO_API file {
public:
    /// An empty file, which is not open.
    file() noexcept = default;

    /// Opens `path`, which is anything a std::string can be made from: text, std::filesystem::path.
    /// As with open(2), opening a FIFO waits until its other end is open; rondo checks this every 1
    /// to 32 ms.
    /// Throws: std::system_error: "open /x/y: No such file or directory".
    /// Cancel: a file that was opened anyway is returned, and the next wait throws.
    /// See:    open(2).
    template <class Path>
    static task<file> open(const Path& path, open_mode mode = open_mode::read,
                           open_options options = {}) {
        return open_path(std::string(path), mode, options);
    }
    /// Opens `path` for writing, and creates or empties it.
    /// Throws: as open.
    /// Cancel: as open.
    /// See:    creat(2).
    template <class Path>
    static task<file> create(const Path& path) {
        open_options options;
        options.create = options.truncate = true;
        return open_path(std::string(path), open_mode::write, options);
    }
    /// Opens `path` below `folder`, a directory that was opened for reading, for a path that others
    /// have chosen. Neither "..", nor a leading slash, nor a symbolic link leads out of the folder;
    /// where the kernel cannot check links (no openat2(2)), none is followed. Does not wait for the
    /// other end of a FIFO.
    /// Throws: std::system_error; EXDEV or ELOOP for a path that leads out.
    /// Cancel: as open.
    /// See:    openat2(2), RESOLVE_BENEATH.
    static task<file> open_beneath(const file& folder, std::string path);
    /// Takes over the descriptor of an open file. `path` is for errors.
    /// Throws: std::system_error if it is no descriptor; std::bad_alloc; `number` then stays the
    ///         caller's.
    /// See:    fdopen(3).
    static file adopt(int number, std::string_view path);

    /// Reads at the file's position, at least one byte.
    /// Returns: the filled part of `into`; false at the end of the file.
    /// Throws:  std::system_error.
    /// Cancel:  bytes that were read anyway are returned, and the next wait throws.
    /// See:     read(2).
    operation<chunk> read_some(buffer_view into) { return read_at(into, position); }
    /// Reads at an offset; the position does not change. Otherwise as read_some.
    /// See: pread(2).
    operation<chunk> read_at(buffer_view into, std::uint64_t offset);

    /// Fills all of `into`, from `offset` on.
    /// Throws: incomplete_read_error, with the bytes that were read, if the file is shorter;
    ///         std::system_error.
    task<> read_exactly_at(buffer_view into, std::uint64_t offset);
    /// Reads into several buffers, one after the other, in one call. The buffers and the span are
    /// borrowed until the await has ended.
    /// Returns: the number of bytes; 0 at the end of the file.
    /// Throws:  std::system_error.
    /// See:     preadv(2).
    operation<std::size_t> read_parts_at(std::span<const buffer_view> parts, std::uint64_t offset);

    /// Writes all of `data` at the file's position.
    /// Throws: write_error, which says how many bytes were written; the position is after them.
    /// Cancel: a part may have been written.
    /// See:    write(2).
    detail::file_write_awaitable<1> write_all(const_buffer data) {
        return {record(), position, data};
    }
    /// Writes at an offset; the position does not change. Otherwise as write_all.
    /// See: pwrite(2).
    detail::file_write_awaitable<1> write_all_at(const_buffer data, std::uint64_t offset) {
        return {record(), offset, data};
    }
    /// Writes several buffers, one after the other, in one call: `write_all(head, body)`.
    /// See: writev(2).
    template <class... Parts>
        requires(sizeof...(Parts) > 1 && (std::is_constructible_v<const_buffer, Parts&> && ...))
    detail::file_write_awaitable<sizeof...(Parts)> write_all(Parts&&... parts) {
        return {record(), position, const_buffer(parts)...};
    }

    /// Waits until written data is on the disk. sync_data leaves out metadata that is not needed to
    /// read the data back, such as times.
    /// Throws: std::system_error.
    /// See:    fsync(2), fdatasync(2).
    operation<void> sync();
    operation<void> sync_data();

    /// Cuts the file, or extends it with zeros, to `size` bytes.
    /// Throws: std::system_error.
    /// Cancel: done, or not done.
    /// See:    ftruncate(2).
    task<> truncate(std::uint64_t size);
    /// Reserves `size` bytes on the disk from `offset` on. With `keep_size` the file's length does
    /// not change.
    /// Throws: std::system_error: ENOSPC, EOPNOTSUPP.
    /// See:    fallocate(2).
    operation<void> allocate(std::uint64_t offset, std::uint64_t size, bool keep_size = false);

    /// The file's status.
    /// Throws: std::system_error.
    /// See:    statx(2).
    task<file_status> status();
    /// Gives a file without a name (temporary_file) a name.
    /// Throws: std::system_error, EEXIST if the name exists.
    /// See:    linkat(2).
    task<> link_to(std::string path);

    /// The file's size in bytes.
    /// Throws: std::system_error.
    /// See:    statx(2).
    task<std::uint64_t> size();

    bool is_open() const noexcept { return fd_.is_open(); }
    explicit operator bool() const noexcept { return is_open(); }
    /// The path that was given to open.
    const std::string& path() const noexcept { return fd_.name(); }

    /// Closes the file; operations in flight end with ECANCELED. The result may be ignored, or
    /// awaited until the descriptor is closed.
    /// Throws: if awaited: std::system_error. Some file systems report a failed write only here.
    /// Cancel: ends the await; the file is closed all the same.
    /// See:    close(2).
    detail::closing close() noexcept { return fd_.close(); }

private:
    static constexpr std::uint64_t position = ~std::uint64_t{0};
    friend struct detail::file_access;
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

/// Opens a file without a name, for reading and writing, in the file system of `directory`. It is
/// deleted when it is closed, unless link_to has given it a name.
/// Throws: std::system_error.
/// See:    O_TMPFILE in open(2).
RONDO_API task<file> temporary_file(std::string directory = "/tmp");

/// Memory for files that were opened with `direct`, aligned to 4096 bytes.
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
