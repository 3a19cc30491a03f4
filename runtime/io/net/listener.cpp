// SPDX-License-Identifier: MIT
// The listener.
//
// A listener has one accept in the background. What it brings is counted against what has been
// granted: a waiter that is chosen has a claim on the front of the queue, and one that is cancelled
// before it runs passes its claim on (law 3). The connection itself never leaves the queue before
// somebody has resumed to take it.
#include "io/net/listener.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <filesystem>
#include <system_error>
#include <vector>

#include <rondo/loop.hpp>
#include <rondo/sleep.hpp>
#include <rondo/wait_queue.hpp>

#include "io/net/socket_calls.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

// -- the file of a Unix socket --------------------------------------------------------------------

namespace {

/// The working directory may be another one when the file is removed. If that has no name any more,
/// a relative path stays relative.
std::string absolute(const std::string& path) {
    std::error_code error;
    const std::filesystem::path whole = std::filesystem::absolute(path, error);
    return error ? path : whole.string();
}

}  // namespace

unix_file::unix_file(const std::string& path) : path_(absolute(path)) {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0) path_.clear();
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

void unix_file::remove() noexcept {
    struct stat status {};
    if (!path_.empty() && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
        status.st_ino == inode_)
        ::unlink(path_.c_str());
    path_.clear();
}

// -- the listener ---------------------------------------------------------------------------------

namespace {

constexpr std::size_t untaken_max =
    64;  // kept for waiters to come; what is more stays with the kernel
constexpr duration pause_least = std::chrono::milliseconds(5);
constexpr duration pause_most = std::chrono::seconds(1);

/// For want of something that others may give back.
bool is_shortage(int error) noexcept {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// The trouble of one connection, not of the listener: see accept(2), "Error handling".
bool is_passing(int error) noexcept {
    switch (error) {
        case ECANCELED:
        case ECONNABORTED:
        case EPROTO:
        case EPERM:
        case ENETDOWN:
        case ENETUNREACH:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENONET:
            return true;
        default:
            return false;
    }
}

constexpr auto accept_kind = operation_kind("accept");

}  // namespace

struct listener_state : background_operation {
    descriptor fd;
    endpoint where;
    unix_file file;
    wait_queue waiters;
    std::vector<int> untaken;  // connections, from `first` on
    std::size_t first = 0;
    std::size_t granted = 0;  // waiters that were chosen and have not yet resumed
    unsigned holders = 0;
    int error = 0;          // of the accept, for the next waiter
    int shortage = 0;       // of the accept, while there is one
    bool tells = false;     // the exception handler of a shortage ...
    bool told = false;      // ... and has, of this one
    duration pause{0};      // before the next try, for want of descriptors
    bool armed = false;     // the accept is in flight
    bool to_pause = false;  // it is not to be begun before somebody has slept
    bool pausing = false;   // somebody does
    bool closed = false;

    listener_state(descriptor d, const endpoint& w)
        : background_operation(accept_kind, d.record(), {}), fd(std::move(d)), where(w) {
        ask.code = opcode::accept;
        ask.op_flags = SOCK_CLOEXEC;
        arrived = accepted;
        untaken.reserve(untaken_max);
    }
    ~listener_state() { drop_untaken(); }

    std::size_t available() const noexcept {
        const std::size_t waiting = untaken.size() - first;
        return waiting > granted ? waiting - granted : 0;
    }

    void arm() noexcept;
    void go_on() noexcept;
    descriptor take();
    void close() noexcept;

    static void pass_on(void* self) noexcept;

private:
    static void accepted(operation_state& operation) noexcept;
    void arrived_with(int number) noexcept;
    void failed(int e) noexcept;
    void drop_untaken() noexcept;
    std::size_t to_grant() const noexcept;
};

// Whoever waits for nothing but one of these is to be chosen.
std::size_t listener_state::to_grant() const noexcept {
    if (closed) return granted + waiters.size();
    return untaken.size() - first + (error != 0 ? 1 : 0) + (to_pause && !pausing ? 1 : 0);
}

void listener_state::arm() noexcept {
    if (armed || closed) return;
    ask.ioprio = has_multishot_accept() ? accept_multishot : std::uint16_t{0};
    begin_background(*this);
    armed = true;
    ++holders;
}

/// After each change: chooses waiters for what is here, and sees to it that more comes for the rest
/// of them.
void listener_state::go_on() noexcept {
    while (!waiters.empty() && granted < to_grant()) {
        ++granted;
        waiters.unpark_one();
    }
    if (!waiters.empty() && !to_pause && error == 0) arm();
}

void listener_state::pass_on(void* self) noexcept {
    auto& listener = *static_cast<listener_state*>(self);
    --listener.granted;
    listener.go_on();
}

// The coroutine of whoever is woken here runs later: nothing below changes under our feet.
void listener_state::accepted(operation_state& operation) noexcept {
    auto& self = static_cast<listener_state&>(operation);
    const held<listener_state> hold(&self);
    if ((operation.flags & completion_more) == 0) {
        self.armed = false;
        --self.holders;
    }
    if (operation.result >= 0)
        self.arrived_with(operation.result);
    else
        self.failed(-operation.result);
    self.go_on();
}

void listener_state::arrived_with(int number) noexcept {
    pause = duration::zero();
    told = false;
    try {
        if (closed) return close_beside(fd, number);
        untaken.push_back(number);
    } catch (...) {  // a burst beyond the bound, and no memory: the peer sees that nobody took it
        return close_beside(fd, number);
    }
    if (armed && untaken.size() - first > untaken_max) cancel_operation(*this);
}

void listener_state::failed(int e) noexcept {
    if (is_shortage(e)) {
        to_pause = true;
        shortage = e;
        pause = std::clamp(2 * pause, pause_least, pause_most);
    } else if (!is_passing(e)) {
        error = e;
    }
}

descriptor listener_state::take() {
    const int number = untaken[first++];
    if (first == untaken.size()) {
        untaken.clear();
        first = 0;
    }
    return adopt_or_close(number, {});
}

void listener_state::drop_untaken() noexcept {
    for (; first != untaken.size(); ++first) close_beside(fd, untaken[first]);
}

void listener_state::close() noexcept {
    if (closed) return;
    closed = true;
    drop_untaken();
    fd.close();
    file.remove();
    go_on();
}

namespace {

constexpr auto waiting_kind = wait_queue::kind("accept");

/// Somebody sleeps for all who wait. If he is cancelled meanwhile, the next one does.
class pause_duty {
public:
    explicit pause_duty(listener_state& listener) noexcept : listener_(listener) {
        listener_.pausing = true;
    }
    ~pause_duty() {
        listener_.pausing = false;
        listener_.go_on();
    }
    void done() noexcept { listener_.to_pause = false; }

private:
    listener_state& listener_;
};

/// Once for each shortage that is not over after the first pause.
void tell_shortage(listener_state& listener) {
    if (!listener.tells || listener.told || listener.pause == pause_least) return;
    listener.told = true;
    exception_context context;
    context.message = "accept " + listener.where.text() + ": connections wait";
    context.error = std::make_exception_ptr(
        std::system_error(listener.shortage, std::system_category()));
    running_loop().call_exception_handler(context);
}

task<> sleep_for_all(listener_state& listener) {
    pause_duty duty(listener);
    tell_shortage(listener);
    co_await sleep(listener.pause);
    duty.done();
}

/// After each step of a waiter the others are looked at.
class step {
public:
    explicit step(listener_state& listener) noexcept : listener_(listener) {}
    ~step() { listener_.go_on(); }

private:
    listener_state& listener_;
};

[[noreturn]] void throw_failed_accept(const listener_state& listener, int error) {
    throw_system_error(error, "accept", listener.where.text());
}

task<descriptor> accept_from(held<listener_state> listener) {
    listener_state& l = *listener;
    for (bool waited = false;; waited = true) {
        {
            const step at_end(l);
            if (cancel_requested()) throw cancelled();
            if (l.closed) throw_failed_accept(l, waited ? ECANCELED : EBADF);
            if (l.available() != 0) co_return l.take();
            if (l.error != 0) throw_failed_accept(l, std::exchange(l.error, 0));
        }
        if (l.to_pause && !l.pausing) {
            co_await sleep_for_all(l);
            continue;
        }
        if (!l.to_pause && l.untaken.size() == l.first) l.arm();
        co_await l.waiters.park(waiting_kind, listener_state::pass_on, &l);
        --l.granted;
    }
}

}  // namespace

// -- the face -------------------------------------------------------------------------------------

listening::listening(descriptor fd, const endpoint& where, unix_file file) {
    state_ = new listener_state(std::move(fd), where);
    state_->file = std::move(file);
    ++state_->holders;
}

listening::~listening() {
    if (state_ == nullptr) return;
    const held<listener_state> last(state_);
    --state_->holders;
    state_->close();
}

task<descriptor> listening::accept() const {
    RONDO_ASSERT(state_ != nullptr, "this listener was moved from");
    return accept_from(held<listener_state>(state_));
}

void listening::report_shortages() const noexcept {
    if (state_ != nullptr) state_->tells = true;
}
endpoint listening::local() const noexcept {
    return state_ != nullptr ? state_->where : endpoint();
}
bool listening::is_open() const noexcept { return state_ != nullptr && !state_->closed; }

closing listening::close() const noexcept {
    if (state_ == nullptr) return closing(nullptr);
    state_->close();
    return state_->fd.close();
}

listening listen_at(descriptor fd, const endpoint& where, int backlog, unix_file file) {
    const std::string name = where.text();
    check(listen_on(fd, backlog), "listen", name);
    endpoint local = where;
    check(ask_name(fd, local_name, local), "bind", name);
    if (local != where) fd.rename(local.text());
    return listening(std::move(fd), local, std::move(file));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
