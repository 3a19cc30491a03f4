// SPDX-License-Identifier: MIT
// The simulator's descriptors, and the calls on them that are no entries (class `system`). The
// lowest free number is given out first, as POSIX asks: that is what makes a late operation on a
// closed number dangerous, and found here.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "simulator.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

simulator::descriptor* simulator::find(int fd) noexcept {
    const auto at = static_cast<std::size_t>(fd - first_descriptor);
    if (fd < first_descriptor || at >= descriptors_.size()) return nullptr;
    return descriptors_[at].open() ? &descriptors_[at] : nullptr;
}

sim_socket* simulator::find_socket(int fd, int& error) noexcept {
    descriptor* const found = find(fd);
    error = found == nullptr ? -EBADF : -ENOTSOCK;
    return found != nullptr ? found->socket : nullptr;
}

bool simulator::descriptors_full() const noexcept {
    return descriptors_open() >= core_.options.descriptors_max;
}

int simulator::open_descriptor(sim_socket* socket, sim_file* file) {
    int fd = first_descriptor + static_cast<int>(descriptors_.size());
    if (free_.empty()) {
        descriptors_.emplace_back();
    } else {
        std::pop_heap(free_.begin(), free_.end(), std::greater<>());
        fd = free_.back();
        free_.pop_back();
    }
    descriptor& fresh = descriptor_of(fd);
    fresh = descriptor();
    fresh.socket = socket;
    fresh.file = file;
    return fd;
}

void simulator::free_descriptor(int fd) {
    descriptor& gone = descriptor_of(fd);
    if (gone.socket != nullptr) network_.close(*gone.socket);
    if (gone.file != nullptr) files_.close(*gone.file);
    gone = descriptor();
    free_.push_back(fd);
    std::push_heap(free_.begin(), free_.end(), std::greater<>());
}

namespace {

/// Whether that entry, not submitted yet, would run on `fd`.
bool names_descriptor(const entry& what, int fd) noexcept {
    switch (what.code) {
        case opcode::nop:
        case opcode::socket:
        case opcode::timeout:
        case opcode::timeout_remove:
        case opcode::async_cancel:
        case opcode::poll_remove:
            return false;
        default:
            return what.fd == fd;
    }
}

}  // namespace

/// Law 4: a descriptor counts its operations, and the last completion closes the number.
void simulator::check_idle(int fd) {
    if (descriptor_of(fd).in_flight == 0) return;
    for (std::uint32_t at = 0; at < core_.operations.capacity(); ++at) {
        const sim_operation& operation = core_.operations[at];
        if (operation.sequence != 0 && operation.counts && operation.what.fd == fd)
            sim_fatal("close(%d) while its %s is in flight: the last completion closes (law 4)", fd,
                      sim_opcode_name(operation.what.code));
    }
    sim_fatal("close(%d): the model has lost count of its operations", fd);
}

// -- class system --

int simulator::open_socket(int family, int type, int protocol) {
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return -EAFNOSUPPORT;
    if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM) return -ESOCKTNOSUPPORT;
    if (protocol != 0 && (family == AF_UNIX || protocol != IPPROTO_TCP)) return -EPROTONOSUPPORT;
    if (descriptors_full()) return -EMFILE;
    return open_descriptor(network_.create(family), nullptr);
}

int simulator::socket(int family, int type, int protocol) {
    const std::lock_guard lock(mutex_);
    return open_socket(family, type, protocol);
}

int simulator::bind(int fd, const sockaddr* address, socklen_t size) {
    const std::lock_guard lock(mutex_);
    int error = 0;
    sim_socket* const found = find_socket(fd, error);
    return found != nullptr ? network_.bind(*found, address, size) : error;
}

int simulator::listen(int fd, int backlog) {
    const std::lock_guard lock(mutex_);
    int error = 0;
    sim_socket* const found = find_socket(fd, error);
    return found != nullptr ? network_.listen(*found, backlog) : error;
}

int simulator::local_name(int fd, sockaddr* address, socklen_t* size) {
    const std::lock_guard lock(mutex_);
    int error = 0;
    sim_socket* const found = find_socket(fd, error);
    if (found == nullptr) return error;
    found->local.copy_to(address, size);
    return 0;
}

int simulator::remote_name(int fd, sockaddr* address, socklen_t* size) {
    const std::lock_guard lock(mutex_);
    int error = 0;
    sim_socket* const found = find_socket(fd, error);
    if (found == nullptr) return error;
    if (!sim_network::joined(*found)) return -ENOTCONN;
    found->remote.copy_to(address, size);
    return 0;
}

int simulator::set_option(int fd, int level, int name, const void* value, socklen_t size) {
    const std::lock_guard lock(mutex_);
    int error = 0;
    sim_socket* const found = find_socket(fd, error);
    return found != nullptr ? network_.set_option(*found, level, name, value, size) : error;
}

int simulator::get_option(int fd, int level, int name, void* value, socklen_t* size) {
    const std::lock_guard lock(mutex_);
    int error = 0;
    sim_socket* const found = find_socket(fd, error);
    return found != nullptr ? network_.get_option(*found, level, name, value, size) : error;
}

int simulator::socket_pair(int, int, int, int*) { return -ENOSYS; }
int simulator::pipe(int*) { return -ENOSYS; }
int simulator::duplicate(int) { return -ENOSYS; }
int simulator::truncate(int, std::uint64_t) { return -ENOSYS; }

int simulator::file_status(int fd, unsigned* mode) {
    const std::lock_guard lock(mutex_);
    const descriptor* const found = find(fd);
    if (found == nullptr) return -EBADF;
    *mode = found->socket != nullptr ? S_IFSOCK : found->file->node != nullptr ? S_IFREG : S_IFDIR;
    return 0;
}

int simulator::close(int fd) {
    const std::lock_guard lock(mutex_);
    if (find(fd) == nullptr) return -EBADF;
    check_idle(fd);
    // Queued entries are the attached thread's; from another thread only what is in flight can be
    // asked.
    for (std::size_t at = 0; thread_ == std::this_thread::get_id() && at < queued_; ++at)
        if (names_descriptor(queue_[at], fd))
            sim_fatal(
                "close(%d) while its %s is not submitted yet: it would run on a later "
                "descriptor (law 4)",
                fd, sim_opcode_name(queue_[at].code));
    free_descriptor(fd);
    return 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
