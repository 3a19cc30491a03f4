// SPDX-License-Identifier: MIT
// Accepting connections.
//
// A listener has one accept in the background. The connections that it brings are compared with the
// waiters that were woken: a woken waiter has a claim on the front of the queue, and a waiter that
// is cancelled before it runs passes its claim on (law 3). A connection leaves the queue only when
// a task has resumed to take it.
//
// A socket that other processes may accept from as well has an accept only while a task waits, and
// for one connection: a worker that hoarded connections would lose them when it ends.
#include "io/net/listener.hpp"

#include <fcntl.h>

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

/// An absolute path, because the working directory may have changed when the file is removed. If
/// the working directory has no name any more, a relative path stays relative.
std::string absolute(const std::string& path) {
    std::error_code error;
    const std::filesystem::path whole = std::filesystem::absolute(path, error);
    return error ? path : whole.string();
}

}  // namespace

unix_file::unix_file(const std::string& path)
    : path_(is_simulated_here() ? path : absolute(path)), os_(system_here()) {
    name_facts facts;
    if (name_status(*os_, path_.c_str(), facts) < 0) path_.clear();
    device_ = facts.device;
    inode_ = facts.inode;
}

void unix_file::remove() noexcept {
    if (path_.empty()) return;
    name_facts facts;
    if (name_status(*os_, path_.c_str(), facts) >= 0 && facts.device == device_ &&
        facts.inode == inode_)
        remove_name(*os_, path_.c_str());
    path_.clear();
}

// -- the listener ---------------------------------------------------------------------------------

namespace {

constexpr std::size_t untaken_max = 64;  // kept for later waiters; further ones stay in the kernel
constexpr duration pause_least = std::chrono::milliseconds(5);
constexpr duration pause_most = std::chrono::seconds(1);

/// True for a lack of a resource that may become free again.
bool is_shortage(int error) noexcept {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// True for an error of one connection, not of the listener: see accept(2), "Error handling".
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
    std::vector<int> untaken;  // accepted connections, from `first` on
    std::size_t first = 0;
    std::size_t granted = 0;  // waiters that were woken and have not yet resumed
    unsigned holders = 0;
    int error = 0;          // of the accept, for the next waiter
    int shortage = 0;       // errno of the present shortage
    bool reports_shortages = false;  // to the exception handler
    bool is_reported = false;        // the present shortage
    duration pause{0};      // sleep before the next accept during a shortage
    bool armed = false;     // the accept is in flight
    bool to_pause = false;  // a waiter has to sleep before the next accept
    bool pausing = false;   // a waiter sleeps
    bool closed = false;
    bool is_shared = false;  // with other processes

    listener_state(descriptor d, const endpoint& w)
        : background_operation(accept_kind, d.record(), {}), fd(std::move(d)), where(w) {
        request.code = opcode::accept;
        request.op_flags = SOCK_CLOEXEC;
        on_completion = accepted;
        untaken.reserve(untaken_max);
    }
    ~listener_state() { drop_untaken(); }

    std::size_t available() const noexcept {
        const std::size_t waiting = untaken.size() - first;
        return waiting > granted ? waiting - granted : 0;
    }

    void arm() noexcept;
    void wake_waiters() noexcept;
    descriptor take();
    void close() noexcept;
    void share() noexcept;
    void leave_to_others() noexcept;

    static void pass_on(void* self) noexcept;

private:
    static void accepted(operation_state& operation) noexcept;
    void connection_arrived(int number) noexcept;
    void failed(int e) noexcept;
    void drop_untaken() noexcept;
    std::size_t waiters_due() const noexcept;
};

// Number of waiters to wake: one per connection, error or pause; all if the listener is closed.
std::size_t listener_state::waiters_due() const noexcept {
    if (closed) return granted + waiters.size();
    return untaken.size() - first + (error != 0 ? 1 : 0) + (to_pause && !pausing ? 1 : 0);
}

void listener_state::arm() noexcept {
    if (armed || closed) return;
    request.ioprio = has_multishot_accept() && !is_shared ? accept_multishot : std::uint16_t{0};
    begin_background(*this);
    armed = true;
    ++holders;
}

/// Called after each change: wakes waiters for the connections that are here, and begins an accept
/// for the remaining waiters.
void listener_state::wake_waiters() noexcept {
    while (!waiters.empty() && granted < waiters_due()) {
        ++granted;
        waiters.unpark_one();
    }
    if (!waiters.empty() && !to_pause && error == 0) arm();
}

void listener_state::pass_on(void* self) noexcept {
    auto& listener = *static_cast<listener_state*>(self);
    --listener.granted;
    listener.wake_waiters();
}

// A task woken here runs later, so no state changes during this function.
void listener_state::accepted(operation_state& operation) noexcept {
    auto& self = static_cast<listener_state&>(operation);
    const held<listener_state> hold(&self);
    if ((operation.flags & completion_more) == 0) {
        self.armed = false;
        --self.holders;
    }
    if (operation.result >= 0)
        self.connection_arrived(operation.result);
    else
        self.failed(-operation.result);
    self.wake_waiters();
}

void listener_state::connection_arrived(int number) noexcept {
    pause = duration::zero();
    is_reported = false;
    try {
        if (closed) return close_beside(fd, number);
        untaken.push_back(number);
    } catch (...) {  // a burst beyond the reserve, and no memory: the peer sees a closed connection
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
    wake_waiters();
}

void listener_state::share() noexcept {
    if (is_shared) return;
    is_shared = true;
    if (armed) cancel_operation(*this);  // if a task waits, arm() follows
}

/// Ends the accept of a shared socket if no task waits any more.
void listener_state::leave_to_others() noexcept {
    if (is_shared && armed && waiters.empty()) cancel_operation(*this);
}

namespace {

constexpr auto waiting_kind = wait_queue::kind("accept");

/// One waiter sleeps for all. If it is cancelled meanwhile, the next waiter takes over.
class pause_guard {
public:
    explicit pause_guard(listener_state& listener) noexcept : listener_(listener) {
        listener_.pausing = true;
    }
    ~pause_guard() {
        listener_.pausing = false;
        listener_.wake_waiters();
    }
    void done() noexcept { listener_.to_pause = false; }

private:
    listener_state& listener_;
};

/// Reports each shortage that lasts longer than the first pause, once.
void report_shortage(listener_state& listener) {
    const bool is_first_pause = listener.pause == pause_least;
    if (!listener.reports_shortages || listener.is_reported || is_first_pause) return;
    listener.is_reported = true;
    exception_context context;
    context.message = "accept " + listener.where.text() + ": connections wait";
    context.error = std::make_exception_ptr(
        std::system_error(listener.shortage, std::system_category()));
    running_loop().call_exception_handler(context);
}

task<> sleep_for_all(listener_state& listener) {
    pause_guard duty(listener);
    report_shortage(listener);
    co_await sleep(listener.pause);
    duty.done();
}

/// Of a waiter, until its end.
class waiter_presence {
public:
    explicit waiter_presence(listener_state& listener) noexcept : listener_(listener) {}
    ~waiter_presence() { listener_.leave_to_others(); }

private:
    listener_state& listener_;
};

/// Runs wake_waiters() after each step of a waiter.
class wake_at_end {
public:
    explicit wake_at_end(listener_state& listener) noexcept : listener_(listener) {}
    ~wake_at_end() { listener_.wake_waiters(); }

private:
    listener_state& listener_;
};

[[noreturn]] void throw_failed_accept(const listener_state& listener, int error) {
    throw_system_error(error, "accept", listener.where.text());
}

task<descriptor> accept_from(held<listener_state> listener) {
    listener_state& l = *listener;
    const waiter_presence presence(l);
    for (bool waited = false;; waited = true) {
        {
            const wake_at_end guard(l);
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

// -- socket_listener ------------------------------------------------------------------------------

socket_listener::socket_listener(descriptor fd, const endpoint& where, unix_file file) {
    state_ = new listener_state(std::move(fd), where);
    state_->file = std::move(file);
    ++state_->holders;
}

socket_listener::~socket_listener() {
    if (state_ == nullptr) return;
    const held<listener_state> last(state_);
    --state_->holders;
    state_->close();
}

task<descriptor> socket_listener::accept() const {
    RONDO_ASSERT(state_ != nullptr, "this listener was moved from");
    return accept_from(held<listener_state>(state_));
}

void socket_listener::report_shortages() const noexcept {
    if (state_ != nullptr) state_->reports_shortages = true;
}
endpoint socket_listener::local() const noexcept {
    return state_ != nullptr ? state_->where : endpoint();
}
void socket_listener::share() const noexcept {
    if (state_ != nullptr) state_->share();
}
int socket_listener::number() const noexcept {
    share();
    return is_open() ? state_->fd.number() : -1;
}
bool socket_listener::is_open() const noexcept { return state_ != nullptr && !state_->closed; }

closing socket_listener::close() const noexcept {
    if (state_ == nullptr) return closing(nullptr);
    state_->close();
    return state_->fd.close();
}

socket_listener listen_at(descriptor fd, const endpoint& where, int backlog, unix_file file) {
    const std::string name = where.text();
    check(listen_on(fd, backlog), "listen", name);
    endpoint local = where;
    check(ask_name(fd, local_name, local), "bind", name);
    if (local != where) fd.rename(local.text());
    return socket_listener(std::move(fd), local, std::move(file));
}

namespace {

int ask_option(const descriptor& fd, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    check(get_option(fd, SOL_SOCKET, name, &value, &size), "adopt", "listener");
    return value;
}

}  // namespace

socket_listener adopt_listening(descriptor fd, bool is_unix) {
    const bool listens =
        ask_option(fd, SO_TYPE) == SOCK_STREAM && ask_option(fd, SO_ACCEPTCONN) == 1;
    if (!listens) throw error("adopt listener: the descriptor is not a stream socket that listens");
    endpoint local;
    check(ask_name(fd, local_name, local), "adopt", "listener");
    const bool is_family = is_unix ? ask_option(fd, SO_DOMAIN) == AF_UNIX : local.is_ip();
    if (!is_family)
        throw error(is_unix ? "adopt listener: the descriptor is not a Unix socket"
                            : "adopt listener: the descriptor is not a TCP socket");
    if (!is_simulated_here()) ::fcntl(fd.number(), F_SETFD, FD_CLOEXEC);
    fd.rename(local.text());
    socket_listener result(std::move(fd), local, {});
    result.share();
    return result;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
