// SPDX-License-Identifier: MIT
// Opening, reading and writing files in memory. See file.hpp.
#include "kernel/simulator/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint64_t here = ~std::uint64_t(0);           // offset -1: the current position
constexpr std::uint64_t size_max = std::uint64_t(1) << 32;  // a larger file in memory is a bug

}  // namespace

/// Returns: the path, below `base` if it is relative, without ".", "//" and "/" at the end. An
/// absolute path keeps its first "/".
std::string sim_file_system::normalize(const sim_file* base, std::string_view path) {
    const bool rooted = !path.empty() && path.front() == '/';
    std::string result = rooted || base == nullptr ? std::string() : base->path;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        const std::string_view part = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        if (part.empty() || part == ".") continue;
        if (rooted || !result.empty()) result += '/';
        result += part;
    }
    if (rooted && result.empty()) result = "/";
    return result;
}

std::shared_ptr<sim_node>& sim_file_system::make(const std::string& path) {
    std::shared_ptr<sim_node>& node = nodes_[path];
    if (node != nullptr) return node;
    node = std::make_shared<sim_node>();
    node->number = ++made_;
    make_parents(path);
    return node;
}

void sim_file_system::put(std::string_view path, std::string_view bytes) {
    make(normalize(nullptr, path))->bytes = bytes;
}

std::optional<std::string> sim_file_system::get(std::string_view path) const {
    const auto found = nodes_.find(normalize(nullptr, path));
    if (found == nodes_.end()) return std::nullopt;
    return found->second->bytes;
}

/// Returns: by how many bytes files may grow.
std::uint64_t sim_file_system::room() const {
    if (core_.options.disk == ~std::uint64_t(0)) return core_.options.disk;
    std::uint64_t used = 0;
    for (const auto& [path, node] : nodes_) used += node->bytes.size();
    return core_.options.disk - std::min(used, core_.options.disk);
}

int sim_file_system::open(const sim_file* base, const char* path, int flags, sim_file*& file) {
    if (*path == '\0') return -ENOENT;
    if (base != nullptr && base->node != nullptr && *path != '/') return -ENOTDIR;
    const std::string name = normalize(base, path);
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    const auto found = nodes_.find(name);
    std::shared_ptr<sim_node> node;
    const bool as_folder = path[std::strlen(path) - 1] == '/';
    if (found != nodes_.end()) {
        if (as_folder) return -ENOTDIR;
        if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return -EEXIST;
        if ((flags & O_DIRECTORY) != 0) return -ENOTDIR;
        node = found->second;
        if ((flags & O_TRUNC) != 0) node->bytes.clear();
    } else if (is_directory(name)) {
        if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return -EEXIST;
        if (writes || (flags & O_CREAT) != 0) return -EISDIR;
    } else {
        if (const int why = why_missing(name); why != -ENOENT || (flags & O_CREAT) == 0) return why;
        if ((flags & O_DIRECTORY) != 0) return -EINVAL;
        if (as_folder) return -EISDIR;
        node = make(name);
    }
    file = &files_.take();
    file->references = 1;
    file->node = std::move(node);
    file->path = name;
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
            if (file.node == nullptr) return -EISDIR;
            return (file.flags & O_ACCMODE) == O_WRONLY ? -EBADF : read(operation);
        default:
            if (file.node == nullptr || (file.flags & O_ACCMODE) == O_RDONLY) return -EBADF;
            return write(operation);
    }
}

std::int32_t sim_file_system::read(sim_operation& operation) {
    sim_file& file = *operation.file;
    sim_cursor into(operation.what, 0);
    const bool moves = operation.what.offset == here;
    const std::uint64_t from = moves ? file.position : operation.what.offset;
    const std::string& bytes = file.node->bytes;
    if (from >= bytes.size()) return 0;
    const auto all = std::min<std::uint64_t>(into.left(), bytes.size() - from);
    const std::uint32_t count = core_.shorten(operation, static_cast<std::uint32_t>(all));
    into.put(bytes.data() + from, count);
    if (moves && (count == all || core_.dice.percent(50))) file.position += count;
    return static_cast<std::int32_t>(count);
}

std::int32_t sim_file_system::write(sim_operation& operation) {
    sim_file& file = *operation.file;
    sim_cursor from(operation.what, 0);
    const bool moves = operation.what.offset == here;
    const bool appends = (file.flags & O_APPEND) != 0;
    std::string& bytes = file.node->bytes;
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
    if (bytes.size() < at + count) bytes.resize(at + count);
    from.get(bytes.data() + at, count);
    if (moves && (count == wanted || core_.dice.percent(50))) file.position = at + count;
    return static_cast<std::int32_t>(count);
}

int sim_file_system::truncate(sim_file& file, std::uint64_t size) {
    if (file.node == nullptr || (file.flags & O_ACCMODE) == O_RDONLY) return -EINVAL;
    if (size > size_max) return -EFBIG;
    file.node->bytes.resize(size);
    return 0;
}

/// Space need not be reserved in memory, so only the size and the holes of fallocate(2) are
/// simulated.
std::int32_t sim_file_system::allocate(sim_operation& operation) {
    const sim_file& file = *operation.file;
    const std::uint64_t from = operation.what.offset;
    const std::uint64_t size = operation.what.address;
    const auto mode = static_cast<int>(operation.what.length);
    if (file.node == nullptr) return -ENODEV;
    if ((file.flags & O_ACCMODE) == O_RDONLY) return -EBADF;
    if (size == 0) return -EINVAL;
    if (from + size > size_max || from + size < from) return -EFBIG;
    constexpr int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && mode != hole && mode != FALLOC_FL_ZERO_RANGE)
        return -EOPNOTSUPP;
    std::string& bytes = file.node->bytes;
    if (from + size > bytes.size() && from + size - bytes.size() > room()) return -ENOSPC;
    if (mode == 0 || mode == FALLOC_FL_ZERO_RANGE)
        bytes.resize(std::max<std::uint64_t>(bytes.size(), from + size));
    if (mode == hole || mode == FALLOC_FL_ZERO_RANGE) {
        const std::uint64_t end = std::min<std::uint64_t>(bytes.size(), from + size);
        if (from < end) std::fill(bytes.begin() + long(from), bytes.begin() + long(end), '\0');
    }
    return 0;
}

int sim_file_system::status(const sim_file* base, const char* path, int flags,
                            struct statx* result) {
    const sim_node* node = nullptr;  // none: a directory
    if (*path == '\0') {
        if ((flags & AT_EMPTY_PATH) == 0) return -ENOENT;
        if (base != nullptr) node = base->node.get();
    } else {
        if (base != nullptr && base->node != nullptr && *path != '/') return -ENOTDIR;
        const std::string name = normalize(base, path);
        const auto found = nodes_.find(name);
        if (found != nodes_.end())
            node = found->second.get();
        else if (!is_directory(name))
            return why_missing(name);
    }
    *result = {};
    result->stx_mask =
        STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_INO | STATX_SIZE | STATX_BLOCKS;
    result->stx_blksize = 4096;
    result->stx_nlink = 1;
    result->stx_mode = node != nullptr ? S_IFREG | 0644 : S_IFDIR | 0755;
    if (node != nullptr) {
        result->stx_nlink = node->links;
        result->stx_ino = node->number;
        result->stx_size = node->bytes.size();
        result->stx_blocks = (node->bytes.size() + 511) / 512;
    }
    return 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
