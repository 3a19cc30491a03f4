// SPDX-License-Identifier: MIT
// TCP connections, and the listener.
//
// A listener has one accept in the background. What it brings is counted against what has been
// granted: a waiter that is chosen has a claim on the front of the queue, and one that is cancelled
// before it runs passes its claim on (law 3). The connection itself never leaves the queue before
// somebody has resumed to take it.
#include <rondo/net.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <vector>

#include <rondo/detail/descriptor.hpp>
#include <rondo/sleep.hpp>
#include <rondo/wait_queue.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using name_call = int (*)(const descriptor&, sockaddr*, socklen_t*);

/// 0, or -errno.
int ask_name(const descriptor& socket, name_call call, endpoint& answer) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    const int error = call(socket, reinterpret_cast<sockaddr*>(&name), &size);
    if (error >= 0) answer = endpoint::from_system(&name, size);
    return error;
}

/// getpeername(2) has forgotten a peer that reset the connection; this has not. It wants the exact
/// size.
int peer_name(const descriptor& socket, sockaddr* name, socklen_t* size) {
    const int error = remote_name(socket, name, size);
    if (error != -ENOTCONN) return error;
    for (const std::size_t exact : {sizeof(sockaddr_in6), sizeof(sockaddr_in)}) {
        *size = static_cast<socklen_t>(exact);
        if (get_option(socket, SOL_SOCKET, SO_PEERNAME, name, size) >= 0) return 0;
    }
    return error;
}

struct tcp_state final : stream_state {
    endpoint peer;

    tcp_state(descriptor d, const endpoint& p) noexcept : stream_state(std::move(d)), peer(p) {}

    /// 0, or -errno.
    int find_peer() {
        if (peer.family() != address_family::none) return 0;
        return std::min(ask_name(fd, peer_name, peer), 0);
    }

private:
    std::string make_name() override { return find_peer() == 0 ? peer.text() : std::string(); }
};

tcp_state& tcp(const held<>& state) noexcept { return static_cast<tcp_state&>(*state); }

void check(int result, const char* verb, std::string_view object) {
    if (result < 0) throw_system_error(-result, verb, object);
}

}  // namespace

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
        case EINTR:
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
    wait_queue waiters;
    std::vector<int> untaken;  // connections, from `first` on
    std::size_t first = 0;
    std::size_t granted = 0;  // waiters that were chosen and have not yet resumed
    unsigned holders = 0;
    int error = 0;          // of the accept, for the next waiter
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
    tcp_stream take();
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
        pause = std::clamp(2 * pause, pause_least, pause_most);
    } else if (!is_passing(e)) {
        error = e;
    }
}

tcp_stream listener_state::take() {
    const int number = untaken[first++];
    if (first == untaken.size()) {
        untaken.clear();
        first = 0;
    }
    return tcp_stream(adopt_or_close(number, {}));
}

void listener_state::drop_untaken() noexcept {
    for (; first != untaken.size(); ++first) close_beside(fd, untaken[first]);
}

void listener_state::close() noexcept {
    if (closed) return;
    closed = true;
    drop_untaken();
    fd.close();
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

task<> sleep_for_all(listener_state& listener) {
    pause_duty duty(listener);
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

task<tcp_stream> accept_from(held<listener_state> listener) {
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
}  // namespace detail

using detail::check;

tcp_listener tcp_listener::bind(const endpoint& where, listen_options options) {
    const std::string name = where.text();
    const auto* address = static_cast<const sockaddr*>(where.data());
    const int number = detail::new_socket(address->sa_family, SOCK_STREAM, 0);
    check(number, "bind", name);
    descriptor fd = detail::adopt_or_close(number, name);
    const auto set = [&](int level, int option, bool wanted) {
        if (wanted) check(detail::set_option(fd, level, option, 1), "bind", name);
    };
    set(SOL_SOCKET, SO_REUSEADDR, options.reuse_address);
    set(SOL_SOCKET, SO_REUSEPORT, options.reuse_port);
    set(IPPROTO_TCP, TCP_NODELAY, options.no_delay);
    check(detail::bind_name(fd, address, where.size()), "bind", name);
    check(detail::listen_on(fd, options.backlog), "listen", name);
    endpoint local = where;
    check(detail::ask_name(fd, detail::local_name, local), "bind", name);
    if (where.port() == 0) fd.rename(local.text());
    auto* state = new detail::listener_state(std::move(fd), local);
    ++state->holders;
    return tcp_listener(state);
}

tcp_listener::~tcp_listener() {
    if (state_ == nullptr) return;
    const detail::held<detail::listener_state> last(state_);
    --state_->holders;
    state_->close();
}

task<tcp_stream> tcp_listener::accept() {
    RONDO_ASSERT(state_ != nullptr, "this listener was moved from");
    return detail::accept_from(detail::held<detail::listener_state>(state_));
}

endpoint tcp_listener::local() const noexcept {
    return state_ != nullptr ? state_->where : endpoint();
}
bool tcp_listener::is_open() const noexcept { return state_ != nullptr && !state_->closed; }

detail::closing tcp_listener::close() noexcept {
    if (state_ == nullptr) return detail::closing(nullptr);
    state_->close();
    return state_->fd.close();
}

// -- connections ----------------------------------------------------------------------------------

tcp_stream::tcp_stream(descriptor socket, const endpoint& peer)
    : byte_stream(detail::held<>(new detail::tcp_state(std::move(socket), peer))) {}

operation<void> tcp_stream::shutdown_write() {
    static constexpr auto kind = detail::operation_kind("shutdown");
    detail::request ask;
    ask.code = detail::opcode::shutdown;
    ask.length = SHUT_WR;
    state()->name();  // for its error, which knows only the descriptor
    return {kind, state()->fd.record(), ask, [](detail::operation_state&) {}};
}

endpoint tcp_stream::local() const {
    endpoint answer;
    check(detail::ask_name(state()->fd, detail::local_name, answer), "getsockname", "");
    return answer;
}

endpoint tcp_stream::remote() const {
    detail::tcp_state& tcp = detail::tcp(state());
    check(tcp.find_peer(), "getpeername", "");
    return tcp.peer;
}

}  // namespace v0
}  // namespace rondo
