// SPDX-License-Identifier: MIT
// Managed objects: the manager that owns the server, and the requests of their handles. A loop
// keeps the connections that it has opened for later requests.
#include <rondo/managed.hpp>

#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <map>

#include <rondo/loop.hpp>
#include <rondo/process.hpp>
#include <rondo/shield.hpp>
#include <rondo/sleep.hpp>
#include <rondo/start_process.hpp>

#include "multiprocess/managed/message.hpp"

namespace rondo {
inline namespace v0 {

broken_manager_error::~broken_manager_error() = default;

// -- the manager ----------------------------------------------------------------------------------

namespace {

constexpr duration grace_to_end = std::chrono::seconds(2);
constexpr duration answer_limit = std::chrono::seconds(10);
constexpr std::size_t idle_max = 16;  // connections that a loop keeps for one server

/// A new folder that only this user can enter. The destructor removes it with the socket. The
/// server does that as well, since this process may be killed.
class private_folder {
public:
    private_folder() {
        const char* const parent = ::getenv("TMPDIR");
        path_ = std::string(parent != nullptr && *parent == '/' ? parent : "/tmp");
        path_ += "/rondo-manager-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) detail::throw_system_error(errno, "mkdtemp", path_);
    }
    ~private_folder() {
        ::unlink(socket().c_str());
        ::rmdir(path_.c_str());
    }
    private_folder(const private_folder&) = delete;
    private_folder& operator=(const private_folder&) = delete;

    const std::string& path() const noexcept { return path_; }
    std::string socket() const { return path_ + "/socket"; }

private:
    std::string path_;
};

/// Connections of a loop that wait for the next request.
struct idle_connections {
    std::map<std::string, std::vector<unix_stream>> of;

    static idle_connections& here() {
        static constexpr char key = 0;
        std::shared_ptr<void>& slot = running_loop().extension(&key);
        if (slot == nullptr) slot = std::make_shared<idle_connections>();
        return *static_cast<idle_connections*>(slot.get());
    }
    /// Closes those to a server that has ended, if this thread runs a loop.
    static void forget(const std::string& path) noexcept {
        try {
            here().of.erase(path);
        } catch (const std::exception&) {  // no loop
        }
    }
};

process start_server(const private_folder& folder, ipc_channel<int>& lifeline,
                     const manager_options& options) {
    auto [ours, theirs] = ipc_channel<int>::pair();
    const auto listener = unix_listener::bind(folder.socket(), {.remove_at_close = false});
    lifeline = std::move(ours);
    return start_process({.name = "manager"}, detail::serve_managed, listener, std::move(theirs),
                         folder.path(), std::uint64_t{options.bytes_max});
}

}  // namespace

struct manager::state {
    private_folder folder;
    ipc_channel<int> lifeline;  // the server ends when this end is closed
    process server;
    std::atomic<std::uint64_t> objects = 0;

    explicit state(const manager_options& options)
        : server(start_server(folder, lifeline, options)) {}
    ~state() {
        idle_connections::forget(folder.socket());
        lifeline.close();
        try {
            if (server.join_for(grace_to_end)) return;
            server.kill();
            server.join();
        } catch (const std::exception&) {  // the loop, or the next start, reaps it
        }
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;
};

manager::manager(manager_options options) : state_(std::make_unique<state>(options)) {}
manager::manager(manager&&) noexcept = default;
manager& manager::operator=(manager&&) noexcept = default;
manager::~manager() = default;

task<> manager::close() {
    state_->lifeline.close();
    const auto ended = co_await move_on_after(grace_to_end, state_->server.wait());
    if (!ended) state_->server.kill();
    co_await state_->server.wait();
}
bool manager::is_alive() { return state_->server.is_alive(); }
int manager::pid() const noexcept { return state_->server.pid(); }

detail::managed_object manager::new_object() {
    return detail::managed_object(
        detail::managed_place(state_->folder.socket(), ++state_->objects, std::string()));
}

// -- requests -------------------------------------------------------------------------------------

namespace detail {

namespace {

[[noreturn]] void throw_broken() {
    throw broken_manager_error("the manager's server has ended, and its objects with it");
}

task<unix_stream> connection_to(std::string path) {
    auto& idle = idle_connections::here().of[path];
    if (!idle.empty()) {
        unix_stream line = std::move(idle.back());
        idle.pop_back();
        co_return line;
    }
    unix_stream line = co_await connect_unix(path);
    if (!is_own_user(line)) throw broken_manager_error("the manager's server is another user's");
    co_return line;
}

task<managed_reply> exchange(unix_stream& line, std::string request) {
    co_await send_managed(line, std::move(request));
    const auto answer = co_await receive_managed(line);
    if (!answer) throw_broken();
    co_return managed_reply::from_bytes(*answer);
}

/// Makes an exchange on a connection of its own. `used` gets the connection.
task<managed_reply> talk(std::string path, std::string request, unix_stream* used) {
    try {
        *used = co_await connection_to(path);
        co_return co_await exchange(*used, std::move(request));
    } catch (const incomplete_read_error&) {
    } catch (const std::system_error& error) {
        const std::error_code code = error.code();
        if (code != std::errc::connection_refused && code != std::errc::connection_reset &&
            code != std::errc::broken_pipe && code != std::errc::no_such_file_or_directory)
            throw;
    }
    idle_connections::forget(path);
    throw_broken();
}

void check_status(managed_status status) {
    if (status == managed_status::no_room)
        throw limit_error("the manager's server has no room: see manager_options::bytes_max, or "
                          "the answer has more than 16 MiB");
    if (status != managed_status::done)
        throw invalid_state_error("the manager's server has refused a request");
}

task<managed_answer> ask_and_wait(std::string path, std::string request) {
    unix_stream line;
    auto reply = co_await move_on_after(answer_limit, talk(path, std::move(request), &line));
    if (!reply) throw timeout_error("the manager's server", answer_limit);
    auto& idle = idle_connections::here().of[path];
    if (idle.size() < idle_max) idle.push_back(std::move(line));
    check_status(reply->status);
    co_return std::move(reply->answer);
}

}  // namespace

task<managed_answer> managed_object::ask(op what, std::uint64_t index, std::string key,
                                         std::optional<std::string> expected,
                                         std::string value) const {
    if (cancel_requested()) throw cancelled();
    if (key.size() + value.size() > managed_message_max)
        throw limit_error("manager: a key and value of " +
                          std::to_string(key.size() + value.size()) +
                          " bytes are more than a message holds");
    managed_request request;
    request.what = what;
    request.object = std::get<1>(place_);
    request.index = index;
    request.key = std::move(key);
    request.expected = std::move(expected);
    request.value = std::move(value);
    auto asking = shield(ask_and_wait(std::get<0>(place_), request.to_bytes()));
    co_return co_await std::move(asking);
}

}  // namespace detail

task<managed_lock> managed_mutex::lock() const {
    detail::managed_request request;
    request.what = op::lock;
    request.object = std::get<1>(place());
    unix_stream line;
    const auto reply = co_await detail::talk(std::get<0>(place()), request.to_bytes(), &line);
    detail::check_status(reply.status);
    co_return managed_lock(std::move(line));
}

}  // namespace v0
}  // namespace rondo
