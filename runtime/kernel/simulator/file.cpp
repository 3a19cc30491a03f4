// SPDX-License-Identifier: MIT
// Opening, reading and writing files in memory. See file.hpp.
#include "kernel/simulator/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint64_t current_position = ~std::uint64_t(0);  // offset -1
constexpr std::uint64_t size_max = std::uint64_t(1) << 44;  // as that of ext4
constexpr std::int64_t year_2026 = 1'767'225'600;           // in Unix time
constexpr std::uint64_t offset_max = ~std::uint64_t(0) >> 1;

}  // namespace

int sim_file_system::put(std::string_view path, std::string_view bytes) {
    const std::size_t end = path.rfind('/');
    if (end != path.npos && end != 0)
        if (const int error = make_directories(path.substr(0, end)); error < 0) return error;
    const sim_place place = find(nullptr, path, true);
    if (place.error < 0) return place.error;
    if (place.as_directory || (place.node != nullptr && !place.node->is_file())) return -EISDIR;
    const auto node = place.node != nullptr ? place.node : make(place.name, S_IFREG | 0666);
    node->bytes.assign(bytes);
    return 0;
}

std::optional<std::string> sim_file_system::get(std::string_view path) const {
    const sim_place place = find(nullptr, path, true);
    if (place.error < 0 || place.node == nullptr || !place.node->is_file()) return std::nullopt;
    return place.node->bytes.text();
}

/// Returns: by how many bytes files may grow.
std::uint64_t sim_file_system::room() const {
    if (core_.options.disk == ~std::uint64_t(0)) return core_.options.disk;
    std::uint64_t used = 0;
    for (const auto& [path, node] : nodes_) used += node->bytes.size();
    return core_.options.disk - std::min(used, core_.options.disk);
}

namespace {

constexpr int temporary = O_TMPFILE & ~O_DIRECTORY;

/// Returns: 0, or the -errno of opening what is at a place.
int check_open(const sim_node& node, int flags) noexcept {
    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return -EEXIST;
    if (node.is_link()) return -ELOOP;  // O_NOFOLLOW
    if (node.is_directory()) {
        const bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
        return changes ? -EISDIR : 0;
    }
    if ((flags & O_DIRECTORY) != 0) return -ENOTDIR;
    return node.is_file() ? 0 : -ENXIO;
}

}  // namespace

int sim_file_system::open(const sim_file* base, const char* path, int flags, unsigned mode,
                          sim_file*& file) {
    const bool creates = (flags & O_CREAT) != 0;
    const bool follow = (flags & O_NOFOLLOW) == 0 && !(creates && (flags & O_EXCL) != 0);
    sim_place place = find(base, path, follow);
    if (place.error < 0) return place.error;
    if ((flags & temporary) != 0) {  // a file without a name in that directory
        if (place.node == nullptr) return -ENOENT;
        if (!place.node->is_directory()) return -ENOTDIR;
        if ((flags & O_ACCMODE) == O_RDONLY) return -EINVAL;
        place.node = make(S_IFREG | (mode & 07777));
        place.node->links = 0;
    } else if (place.node != nullptr) {
        if (const int error = check_open(*place.node, flags); error < 0) return error;
        if ((flags & O_TRUNC) != 0) place.node->bytes.resize(0);
    } else {
        if (!creates) return -ENOENT;
        if ((flags & O_DIRECTORY) != 0) return -EINVAL;
        if (place.as_directory) return -EISDIR;
        place.node = make(place.name, S_IFREG | (mode & 07777));
    }
    file = &files_.take();
    file->references = 1;
    file->node = std::move(place.node);
    file->path = std::move(place.name);
    file->flags = flags;
    file->position = 0;
    return 0;
}

void sim_file_system::close(sim_file& file) noexcept {
    if (--file.references > 0) return;
    file.node.reset();
    file.path.clear();
    files_.give(file);
}

std::int32_t sim_file_system::attempt(sim_operation& operation) {
    sim_file& file = *operation.file;
    switch (operation.what.code) {
        case opcode::fsync:
            return 0;
        case opcode::fallocate:
            return allocate(operation);
        case opcode::ftruncate:
            return truncate(file, operation.what.offset);
        case opcode::poll_add: {
            const int events = static_cast<int>(operation.what.op_flags) & (POLLIN | POLLOUT);
            return events != 0 ? events : sim_wait;  // a file is always ready
        }
        case opcode::read:
        case opcode::readv:
            if (file.node->is_directory()) return -EISDIR;
            return (file.flags & O_ACCMODE) == O_WRONLY ? -EBADF : read(operation);
        default:
            return (file.flags & O_ACCMODE) == O_RDONLY ? -EBADF : write(operation);
    }
}

namespace {

/// Whether a transfer of a file that was opened with O_DIRECT has the alignment of a device.
bool is_aligned(const entry& what) noexcept {
    std::uint64_t all = what.offset == current_position ? 0 : what.offset;
    if (what.code == opcode::read || what.code == opcode::write) {
        all |= what.address | what.length;
    } else {
        const auto* const parts = sim_pointer<const iovec>(what.address);
        for (std::uint32_t i = 0; i < what.length; ++i)
            all |= reinterpret_cast<std::uintptr_t>(parts[i].iov_base) | parts[i].iov_len;
    }
    return all % 512 == 0;
}

/// Returns: 0, or the -errno of a transfer that cannot be.
int check_transfer(const sim_file& file, const entry& what) noexcept {
    if (what.offset != current_position && what.offset > offset_max) return -EINVAL;
    return (file.flags & O_DIRECT) != 0 && !is_aligned(what) ? -EINVAL : 0;
}

}  // namespace

std::int32_t sim_file_system::read(sim_operation& operation) {
    sim_file& file = *operation.file;
    if (const int error = check_transfer(file, operation.what); error < 0) return error;
    sim_cursor into(operation.what, 0);
    const bool moves = operation.what.offset == current_position;
    const std::uint64_t from = moves ? file.position : operation.what.offset;
    const sim_content& bytes = file.node->bytes;
    if (from >= bytes.size()) return 0;
    const auto all = std::min<std::uint64_t>(into.left(), bytes.size() - from);
    const std::uint32_t count = core_.shorten(operation, static_cast<std::uint32_t>(all));
    std::string some(count, '\0');
    bytes.read(from, some.data(), count);
    into.put(some.data(), count);
    if (moves && (count == all || core_.dice.percent(50))) file.position += count;
    return static_cast<std::int32_t>(count);
}

std::int32_t sim_file_system::write(sim_operation& operation) {
    sim_file& file = *operation.file;
    if (const int error = check_transfer(file, operation.what); error < 0) return error;
    sim_cursor from(operation.what, 0);
    const bool moves = operation.what.offset == current_position;
    const bool appends = (file.flags & O_APPEND) != 0;
    sim_content& bytes = file.node->bytes;
    const std::uint64_t at = appends ? bytes.size() : moves ? file.position : operation.what.offset;
    const std::uint32_t wanted = from.left();
    std::uint32_t count = core_.shorten(operation, wanted);
    if (count == 0) return 0;
    if (at + count > size_max || at + count < at) return -EFBIG;
    if (const std::uint64_t space = room(); space < count) {
        const std::uint64_t end = std::max(bytes.size() + space, at);
        count = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, end - at));
    }
    if (count == 0) return -ENOSPC;
    std::string some(count, '\0');
    from.get(some.data(), count);
    bytes.write(at, some.data(), count);
    file.node->modified = core_.now;
    if (moves && (count == wanted || core_.dice.percent(50))) file.position = at + count;
    return static_cast<std::int32_t>(count);
}

int sim_file_system::truncate(sim_file& file, std::uint64_t size) {
    if ((file.flags & O_ACCMODE) == O_RDONLY) return -EINVAL;
    if (size > size_max) return -EFBIG;
    file.node->bytes.resize(size);
    file.node->modified = core_.now;
    return 0;
}

/// Space need not be reserved in memory, so only the size and the holes of fallocate(2) are
/// simulated.
std::int32_t sim_file_system::allocate(sim_operation& operation) {
    const sim_file& file = *operation.file;
    const std::uint64_t from = operation.what.offset;
    const std::uint64_t size = operation.what.address;
    const auto mode = static_cast<int>(operation.what.length);
    if (size == 0) return -EINVAL;
    if ((file.flags & O_ACCMODE) == O_RDONLY) return -EBADF;
    if (from + size > size_max || from + size < from) return -EFBIG;
    constexpr int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && mode != hole && mode != FALLOC_FL_ZERO_RANGE)
        return -EOPNOTSUPP;
    sim_content& bytes = file.node->bytes;
    if (from + size > bytes.size() && from + size - bytes.size() > room()) return -ENOSPC;
    if (mode == 0 || mode == FALLOC_FL_ZERO_RANGE)
        bytes.resize(std::max<std::uint64_t>(bytes.size(), from + size));
    if (mode == hole || mode == FALLOC_FL_ZERO_RANGE) bytes.clear(from, from + size);
    return 0;
}

int sim_file_system::status(const sim_file* base, const char* path, int flags,
                            struct statx* result) const {
    sim_place place;
    if (*path == '\0' && (flags & AT_EMPTY_PATH) != 0) {
        place.name = base != nullptr ? base->path : ".";
        place.node = base != nullptr ? base->node : find(nullptr, ".", true).node;
    } else {
        place = find(base, path, (flags & AT_SYMLINK_NOFOLLOW) == 0);
    }
    if (place.error < 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    const sim_node& node = *place.node;
    const bool is_directory = node.is_directory();
    *result = {};
    result->stx_mask = STATX_BASIC_STATS;
    result->stx_blksize = 4096;
    result->stx_dev_minor = 1;
    result->stx_mode = static_cast<std::uint16_t>(node.mode);
    result->stx_nlink = node.links;
    if (is_directory) result->stx_nlink += 1 + std::uint32_t(directories_in(place.name));
    result->stx_ino = node.number;
    result->stx_size = is_directory     ? 4096
                       : node.is_link() ? node.target.size()
                                        : node.bytes.size();
    result->stx_blocks = (result->stx_size + 511) / 512;
    const auto since = node.modified.time_since_epoch();
    result->stx_mtime.tv_sec = year_2026 + since / std::chrono::seconds(1);
    result->stx_mtime.tv_nsec =
        static_cast<std::uint32_t>((since % std::chrono::seconds(1)).count());
    result->stx_atime = result->stx_ctime = result->stx_mtime;
    return 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
