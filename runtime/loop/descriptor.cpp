// SPDX-License-Identifier: MIT
// Descriptors: they count their operations, and the last one to end closes the number.
#include <rondo/detail/loop/descriptor.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "loop/descriptor_record.hpp"

#include "loop/loop_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {
std::shared_ptr<system> current_system() {
    if (here.turn == nullptr) return system::real();
    return core_of(*here.turn).kernel;
}
const std::string nameless;
}  // namespace

bool descriptor_record::add(operation_state& operation, loop_core& home) noexcept {
    RONDO_ASSERT(operations.empty() || operations.front().home == &home,
                 "a descriptor was used in two loops at the same time");
    operations.prepend(operation);
    ++count;
    // If the number was made by this kernel, its close comes by there too.
    if (uses < worth_a_place && ++uses == worth_a_place && !closed && os == home.kernel)
        place = home.kernel->register_file(number);
    return !closed;
}

void descriptor_record::remove(operation_state& operation) noexcept {
    operations.remove(operation);
    --count;
    if (!closed) return;
    if ((operation.state & operation_state::holds_record) == 0) {
        operation.state |= operation_state::holds_record;
        ++holders;
    }
    if (count == 0) last_operation_ended(core_of(*operation.home));
}

void descriptor_record::last_operation_ended(loop_core& home) noexcept {
    if (std::exchange(counted, false)) --home.closings;
    give_back();
}

void descriptor_record::close() noexcept {
    if (closed) return;
    closed = true;
    ++holders;  // an operation removed from the backlog ends at once, and might delete this
    for (operation_state* o = operations.first(); o != nullptr;) {
        operation_state* const next = operation_list::next(*o);
        core_of(*o->home).cancel(*o);
        o = next;
    }
    if (count == 0) {
        give_back();
    } else if (!operations.empty()) {
        counted = true;
        ++core_of(*operations.front().home).closings;
    }
    release();
}

void descriptor_record::give_back() noexcept {
    if (gone) return;
    gone = true;
    if (place >= 0) static_cast<kernel&>(*os).unregister_file(place);
    close_error = -os->close(number);
    while (!closers.empty()) {
        wait_node& node = closers.pop();
        node.wake(node, nullptr);
    }
    if (holders == 0) delete this;
}

void descriptor_record::release() noexcept {
    if (--holders == 0 && gone) delete this;
}

closing::closing(descriptor_record* record) noexcept : record_(record) {
    if (record_ != nullptr) ++record_->holders;
}
closing::~closing() {
    if (record_ != nullptr) record_->release();
}
closing_awaiter closing::rondo_awaiter() && noexcept {
    return closing_awaiter(std::exchange(record_, nullptr));
}

struct closing_kind {
    static void leave(leaf_wait& wait) noexcept {
        auto& self = static_cast<closing_awaiter&>(wait);
        self.record_->closers.remove(self);
        self.state |= leaf_wait::refused;
        detail::wake(wait);
    }
    static void closed(wait_node& node, shared_core*) noexcept {
        detail::wake(static_cast<closing_awaiter&>(node));
    }
    static const char* object(const leaf_wait& wait) {
        return static_cast<const closing_awaiter&>(wait).record_->name.c_str();
    }
    static constexpr wait_kind kind{"close", leave, object};
};

closing_awaiter::closing_awaiter(descriptor_record* record) noexcept
    : leaf_wait(closing_kind::kind), record_(record) {
    wait_node::wake = closing_kind::closed;
}
closing_awaiter::~closing_awaiter() {
    if (record_ != nullptr) record_->release();
}
bool closing_awaiter::await_ready() noexcept {
    if (is_cancelled()) return cancel_at_start();
    return record_ == nullptr || record_->gone;
}
void closing_awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (is_refused()) return requeue(*this);
    record_->closers.append(*this);
}
void closing_awaiter::await_resume() {
    if (is_refused()) throw cancelled();
    if (record_ != nullptr && record_->close_error > 0)
        throw_system_error(record_->close_error, "close", record_->name);
}

// -- system calls that are no entries -------------------------------------------------------------

namespace {
/// Calls `f(system, number)` for an open descriptor; -EBADF for a closed one.
template <class F>
int on_open(const descriptor& d, F f) {
    return d.is_open() ? f(*d.record()->os, d.record()->number) : -EBADF;
}
}  // namespace

int new_socket(int family, int type, int protocol) {
    return current_system()->socket(family, type, protocol);
}
int new_socket_pair(int family, int type, int protocol, int* ends) {
    return current_system()->socket_pair(family, type, protocol, ends);
}
int new_pipe(int* ends) { return current_system()->pipe(ends); }
int set_pipe_size(const descriptor& of, std::uint32_t size) {
    return on_open(of, [&](system& os, int fd) { return os.pipe_size(fd, size); });
}
std::int64_t send_from_memory(const descriptor& socket, const descriptor& file,
                              std::uint64_t offset, std::size_t count) {
    if (!socket.is_open() || !file.is_open()) return -EBADF;
    const detail::descriptor_record& to = *socket.record();
    return to.os->send_uncopied(to.number, file.record()->number, offset, count);
}
int duplicate(int number) { return current_system()->duplicate(number); }
int duplicate(const descriptor& of) {
    return on_open(of, [](system& os, int fd) { return os.duplicate(fd); });
}
int file_mode(int number, unsigned& mode) {
    return current_system()->file_status(number, &mode);
}
int file_mode(const descriptor& of, unsigned& mode) {
    return on_open(of, [&](system& os, int fd) { return os.file_status(fd, &mode); });
}
void note_mode(const descriptor& of, unsigned mode) noexcept {
    of.record()->seekable = S_ISREG(mode) || S_ISBLK(mode);
    of.record()->slow_writes = S_ISCHR(mode);
}
bool has_slow_writes(const descriptor_record& of) noexcept { return of.slow_writes; }
bool note_position(descriptor_record& of) noexcept {
    of.started_at = of.seekable && !of.closed ? of.os->position(of.number) : -1;
    return of.started_at >= 0;
}
void mend_position(descriptor_record& of, std::int64_t moved) noexcept {
    if (of.started_at < 0 || of.closed) return;
    if (of.os->position(of.number) == of.started_at)
        of.os->set_position(of.number, of.started_at + moved);
    of.started_at = -1;
}
void restore_position(descriptor_record& of) noexcept {
    if (of.started_at >= 0 && !of.closed) of.os->set_position(of.number, of.started_at);
    of.started_at = -1;
}
int settle_open(const descriptor& of, int flags, unsigned& mode) {
    const int result =
        on_open(of, [&](system& os, int fd) { return os.settle_open(fd, flags, &mode); });
    if (result >= 0) note_mode(of, mode);
    return result;
}
int peer_of_fifo(const descriptor& of) {
    return on_open(of, [](system& os, int fd) { return os.peer_of_fifo(fd); });
}
std::shared_ptr<system> system_here() { return current_system(); }
bool is_simulated_here() { return current_system()->is_simulated(); }
int list_directory(system& os, const char* path, void (*each)(void*, const char*, unsigned),
                   void* word) {
    return os.list_directory(path, each, word);
}
int read_link(system& os, const char* path, std::string& target) {
    return os.read_link(path, &target);
}
int make_directories(system& os, const char* path) { return os.make_directories(path); }
int remove_tree(system& os, const char* path, std::uint64_t& count) {
    return os.remove_tree(path, &count);
}
int name_status(system& os, const char* path, name_facts& facts) {
    return os.name_status(path, &facts);
}
int remove_name(system& os, const char* path) noexcept { return os.remove_name(path); }
int set_mode(system& os, const char* path, unsigned mode) { return os.set_mode(path, mode); }
int find_listener(system& os, const sockaddr* name, socklen_t size) {
    return os.find_listener(name, size);
}
int truncate(const descriptor& on, std::uint64_t size) {
    return on_open(on, [&](system& os, int fd) { return os.truncate(fd, size); });
}
int spawn(const spawn_request& what, started_program& started) {
    return current_system()->spawn(what, started);
}
int reap(const descriptor& program, int& code) {
    return on_open(program, [&](system& os, int fd) { return os.reap_program(fd, &code); });
}
int signal_program(const descriptor& program, int number) {
    return on_open(program, [&](system& os, int fd) { return os.signal_program(fd, number); });
}
int new_watch_descriptor() { return current_system()->watch_descriptor(); }
int add_watch(const descriptor& to, const char* path, std::uint32_t events) {
    return on_open(to, [&](system& os, int fd) { return os.add_watch(fd, path, events); });
}
int new_signal_descriptor(const sigset_t& signals) {
    return current_system()->signal_descriptor(signals);
}
/// The name may belong to a socket that was closed a moment ago, and whose last completion is still
/// pending.
int bind_name(const descriptor& on, const sockaddr* name, socklen_t size) {
    const auto bind = [&](system& os, int fd) { return os.bind(fd, name, size); };
    const int result = on_open(on, bind);
    if (result != -EADDRINUSE || here.turn == nullptr) return result;
    return core_of(*here.turn).finish_closings() ? on_open(on, bind) : result;
}
int listen_on(const descriptor& on, int backlog) {
    return on_open(on, [&](system& os, int fd) { return os.listen(fd, backlog); });
}
int local_name(const descriptor& on, sockaddr* name, socklen_t* size) {
    return on_open(on, [&](system& os, int fd) { return os.local_name(fd, name, size); });
}
int remote_name(const descriptor& on, sockaddr* name, socklen_t* size) {
    return on_open(on, [&](system& os, int fd) { return os.remote_name(fd, name, size); });
}
int set_option(const descriptor& on, int level, int option, int value) {
    return on_open(on, [&](system& os, int fd) {
        return os.set_option(fd, level, option, &value, sizeof value);
    });
}
int set_option(const descriptor& on, int level, int option, const void* value, socklen_t size) {
    return on_open(on, [&](system& os, int fd) {
        return os.set_option(fd, level, option, value, size);
    });
}
int get_option(const descriptor& on, int level, int option, void* value, socklen_t* size) {
    return on_open(on, [&](system& os, int fd) {
        return os.get_option(fd, level, option, value, size);
    });
}
int poll_now(const descriptor& on) {
    return on_open(on, [](system& os, int fd) { return os.poll_now(fd); });
}

void close_beside(const descriptor& from, int number) noexcept { from.record()->os->close(number); }

descriptor adopt_or_close(int number, std::string_view name) {
    if (number <= STDERR_FILENO) {
        const int moved = duplicate(number);  // gives a number above 2
        close_unclaimed(number);
        if (moved < 0) throw_system_error(-moved, "dup", name);
        number = moved;
    }
    try {
        return descriptor::adopt(number, name);
    } catch (...) {
        close_unclaimed(number);
        throw;
    }
}

std::pair<descriptor, descriptor> adopt_both(const int* ends, std::string_view name) {
    descriptor first;
    try {
        first = descriptor::adopt(ends[0], name);
    } catch (...) {
        for (int i = 0; i < 2; ++i) close_unclaimed(ends[i]);
        throw;
    }
    return {std::move(first), adopt_or_close(ends[1], name)};
}

bool has_multishot_accept() noexcept { return core_of(*here.turn).kernel->multishot_accept(); }

bool knows(opcode code) noexcept { return core_of(*here.turn).kernel->supports(code); }

}  // namespace detail

descriptor descriptor::adopt(int number, std::string_view name) {
    auto record = std::make_unique<detail::descriptor_record>();
    record->number = number;
    record->name = name;
    record->os = detail::current_system();
    descriptor d;
    d.record_ = record.release();
    return d;
}

descriptor::~descriptor() {
    if (record_ == nullptr) return;
    record_->close();
    record_->release();
}

bool descriptor::is_open() const noexcept { return record_ != nullptr && !record_->closed; }
int descriptor::number() const noexcept { return is_open() ? record_->number : -1; }
const std::string& descriptor::name() const noexcept {
    return record_ != nullptr ? record_->name : detail::nameless;
}
void descriptor::rename(std::string_view name) {
    if (record_ != nullptr) record_->name = name;
}
detail::closing descriptor::close() noexcept {
    if (record_ != nullptr) record_->close();
    return detail::closing(record_);
}

}  // namespace v0
}  // namespace rondo
