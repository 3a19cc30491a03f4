// SPDX-License-Identifier: MIT
// Conversion from statx(2) to file_status.
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <rondo/file.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

inline file_kind kind_of_mode(unsigned mode) noexcept {
    switch (mode & S_IFMT) {
        case S_IFREG: return file_kind::regular;
        case S_IFDIR: return file_kind::directory;
        case S_IFLNK: return file_kind::symbolic_link;
        case S_IFIFO: return file_kind::fifo;
        case S_IFSOCK: return file_kind::socket;
        case S_IFBLK: return file_kind::block_device;
        case S_IFCHR: return file_kind::character_device;
        default: return file_kind::none;
    }
}

inline file_status file_status_of(const struct statx& from) noexcept {
    const auto time = [](const statx_timestamp& at) {
        const auto span = std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
        return file_status::time(
            std::chrono::duration_cast<std::chrono::system_clock::duration>(span));
    };
    file_status status;
    status.kind = kind_of_mode(from.stx_mode);
    status.permissions = from.stx_mode & 07777u;
    status.size = from.stx_size;
    status.links = from.stx_nlink;
    status.inode = from.stx_ino;
    status.device = makedev(from.stx_dev_major, from.stx_dev_minor);
    status.uid = from.stx_uid;
    status.gid = from.stx_gid;
    status.accessed = time(from.stx_atime);
    status.modified = time(from.stx_mtime);
    status.changed = time(from.stx_ctime);
    return status;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
