// SPDX-License-Identifier: MIT
// The simulator's descriptors, and the calls on them that are not entries (class `system`). The
// lowest free number is used first, as POSIX requires. That makes a late operation on a closed
// number dangerous, and so the simulator finds such bugs.
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "kernel/simulator/simulator.hpp"

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
    return found != nullptr && found->socket != nullptr && !is_pipe(*found->socket)
               ? found->socket
               : nullptr;
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
    drop_opened({});
}

namespace {

/// Whether the entry, which is not submitted yet, would run on `fd`.
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

/// Aborts if operations on `fd` are in flight. Law 4: a descriptor counts its operations, and the
/// last completion closes the number.
void simulator::check_idle(int fd) {
    if (descriptor_of(fd).in_flight == 0) return;
    for (std::uint32_t at = 0; at < core_.operations.capacity(); ++at) {
        const sim_operation& operation = core_.operations[at];
        if (operation.sequence != 0 && operation.is_counted && operation.what.fd == fd)
            sim_fatal("close(%d) while its %s is in flight: the last completion closes (law 4)", fd,
                      sim_opcode_name(operation.what.code));
    }
    sim_fatal("close(%d): the count of its operations is wrong, a bug of the simulator", fd);
}

// -- class system --

int simulator::next_fault() noexcept {
    const sim_call_fault& fault = core_.options.call_fault;
    return calls_++ == fault.call ? -fault.error : 0;
}

int simulator::open_socket(int family, int type, int protocol) {
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return -EAFNOSUPPORT;
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    const bool datagrams = type == SOCK_DGRAM && family != AF_UNIX;
    if (type != SOCK_STREAM && !datagrams) return -ESOCKTNOSUPPORT;
    const int usual = family == AF_UNIX ? 0 : datagrams ? IPPROTO_UDP : IPPROTO_TCP;
    if (protocol != 0 && protocol != usual) return -EPROTONOSUPPORT;
    if (descriptors_full()) return -EMFILE;
    return open_descriptor(network_.create(family, datagrams ? sim_socket_kind::datagram
                                                             : sim_socket_kind::stream),
                           nullptr);
}

int simulator::socket(int family, int type, int protocol) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    return open_socket(family, type, protocol);
}

/// Returns: `call(socket)` if the descriptor is a socket, else -errno.
template <class Call>
int simulator::on_socket(int fd, Call call) {
    const std::lock_guard lock(mutex_);
    int error = next_fault();
    if (error < 0) return error;
    sim_socket* const found = find_socket(fd, error);
    return found != nullptr ? call(*found) : error;
}

int simulator::bind(int fd, const sockaddr* address, socklen_t size) {
    return on_socket(fd, [&](sim_socket& s) {
        const std::string path = is_unix(s) ? sim_name::path_in(address, size) : std::string();
        if (path.empty() || s.bound) return network_.bind(s, address, size);
        if (const int error = files_.make_socket(path); error < 0) return error;
        const int error = network_.bind(s, address, size);
        if (error < 0) files_.remove(path, false);
        return error;
    });
}

int simulator::listen(int fd, int backlog) {
    return on_socket(fd, [&](sim_socket& s) { return network_.listen(s, backlog); });
}

int simulator::local_name(int fd, sockaddr* address, socklen_t* size) {
    return on_socket(fd, [&](sim_socket& s) {
        s.local.copy_to(address, size);
        return 0;
    });
}

int simulator::remote_name(int fd, sockaddr* address, socklen_t* size) {
    return on_socket(fd, [&](sim_socket& s) {
        if (!sim_network::is_connected(s)) return -ENOTCONN;
        s.remote.copy_to(address, size);
        return 0;
    });
}

int simulator::set_option(int fd, int level, int name, const void* value, socklen_t size) {
    return on_socket(
        fd, [&](sim_socket& s) { return network_.set_option(s, level, name, value, size); });
}

int simulator::get_option(int fd, int level, int name, void* value, socklen_t* size) {
    return on_socket(
        fd, [&](sim_socket& s) { return network_.get_option(s, level, name, value, size); });
}

int simulator::poll_now(int fd) {
    return on_socket(fd, [&](sim_socket& s) {
        return network_.events_of(s) & (POLLIN | POLLRDHUP | POLLHUP | POLLERR);
    });
}

int simulator::open_pair(sim_socket& one, sim_socket& other, int* ends) {
    network_.couple(one, other);
    ends[0] = open_descriptor(&one, nullptr);
    ends[1] = open_descriptor(&other, nullptr);
    return 0;
}

int simulator::socket_pair(int family, int type, int protocol, int* ends) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    if (family != AF_UNIX) return -EOPNOTSUPP;
    if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM) return -ESOCKTNOSUPPORT;
    if (protocol != 0) return -EPROTONOSUPPORT;
    if (descriptors_full()) return -EMFILE;
    sim_socket& one = *network_.create(AF_UNIX);
    return open_pair(one, *network_.create(AF_UNIX), ends);
}

int simulator::pipe(int* ends) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    if (descriptors_full()) return -EMFILE;
    sim_socket& source = *network_.create(AF_UNIX, sim_socket_kind::pipe_source);
    return open_pair(source, *network_.create(AF_UNIX, sim_socket_kind::pipe_sink), ends);
}

int simulator::duplicate(int fd) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    const descriptor* const found = find(fd);
    if (found == nullptr) return -EBADF;
    if (descriptors_full()) return -EMFILE;
    ++(found->socket != nullptr ? found->socket->references : found->file->references);
    return open_descriptor(found->socket, found->file);
}

int simulator::truncate(int fd, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    const descriptor* const found = find(fd);
    if (found == nullptr) return -EBADF;
    return found->file != nullptr ? files_.truncate(*found->file, size) : -EINVAL;
}

int simulator::file_status(int fd, unsigned* mode) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    return mode_of(fd, *mode);
}

int simulator::settle_open(int fd, int, unsigned* mode) {
    const std::lock_guard lock(mutex_);
    return mode_of(fd, *mode);
}

int simulator::mode_of(int fd, unsigned& mode) noexcept {
    const descriptor* const found = find(fd);
    if (found == nullptr) return -EBADF;
    if (found->socket != nullptr)
        mode = (is_pipe(*found->socket) ? S_IFIFO : S_IFSOCK) | 0600;
    else
        mode = found->file->node->mode;
    return 0;
}

std::int64_t simulator::position(int fd) {
    const std::lock_guard lock(mutex_);
    const descriptor* const found = find(fd);
    if (found == nullptr) return -EBADF;
    return found->file != nullptr ? static_cast<std::int64_t>(found->file->position) : -ESPIPE;
}

void simulator::set_position(int fd, std::int64_t to) {
    const std::lock_guard lock(mutex_);
    const descriptor* const found = find(fd);
    if (found != nullptr && found->file != nullptr)
        found->file->position = static_cast<std::uint64_t>(to);
}

// -- paths --

int simulator::list_directory(const char* path, void (*each)(void*, const char*, unsigned),
                              void* word) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    return files_.list(path, each, word);
}

int simulator::read_link(const char* path, std::string* target) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    return files_.read_link(path, *target);
}

int simulator::make_directories(const char* path) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    return files_.make_directories(path);
}

int simulator::remove_tree(const char* path, std::uint64_t* count) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    return files_.remove_tree(path, *count);
}

int simulator::name_status(const char* path, name_facts* facts) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    const sim_place place = files_.find(nullptr, path, false);
    if (place.error < 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    *facts = {place.node->mode, 1, place.node->number};
    return 0;
}

int simulator::remove_name(const char* path) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    return files_.remove(path, false);
}

int simulator::set_mode(const char* path, unsigned mode) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    const sim_place place = files_.find(nullptr, path, true);
    if (place.error < 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    place.node->mode = (place.node->mode & S_IFMT) | (mode & 07777);
    return 0;
}

int simulator::find_listener(const sockaddr* address, socklen_t size) {
    const std::lock_guard lock(mutex_);
    if (const int error = next_fault(); error < 0) return error;
    const std::string path = sim_name::path_in(address, size);
    if (const int error = path.empty() ? 0 : files_.find_socket(path); error < 0) return error;
    return network_.has_listener(address, size) ? 0 : -ECONNREFUSED;
}

int simulator::close(int fd) {
    const std::lock_guard lock(mutex_);
    if (find(fd) == nullptr) return -EBADF;
    check_idle(fd);
    // The queue of entries belongs to the attached thread. A close on another thread can check only
    // the operations in flight.
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
