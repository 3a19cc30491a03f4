// SPDX-License-Identifier: MIT
// The process of a manager: one task for each connection. A mutex is held by the connection that
// asked for it, so it is released when its client ends, in whatever way.
#include <signal.h>
#include <unistd.h>

#include <map>

#include <rondo/loop.hpp>
#include <rondo/race.hpp>
#include <rondo/run.hpp>
#include <rondo/serve.hpp>

#include "multiprocess/managed/message.hpp"
#include "multiprocess/managed/store.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using held_locks = std::map<std::uint64_t, mutex::guard>;

task<managed_reply> lock(managed_store& store, std::uint64_t object, held_locks& held) {
    managed_reply reply;
    mutex* const its = store.lock_of(object);
    if (its == nullptr || held.contains(object)) {
        reply.status = its == nullptr ? managed_status::no_room : managed_status::refused;
        co_return reply;
    }
    auto guard = co_await its->lock();
    held.emplace(object, std::move(guard));
    co_return reply;
}

task<> answer_all(managed_store& store, unix_stream& client) {
    if (!is_own_user(client)) co_return;
    held_locks held;
    for (;;) {
        const auto bytes = co_await receive_managed(client);
        if (!bytes) co_return;
        managed_request request = managed_request::from_bytes(*bytes);
        managed_reply reply;
        if (request.what == managed_op::lock)
            reply = co_await lock(store, request.object, held);
        else
            reply = store.apply(request);
        std::string answer = reply.to_bytes();
        if (answer.size() > managed_message_max) {  // all items at once
            managed_reply refusal;
            refusal.status = managed_status::no_room;
            answer = refusal.to_bytes();
        }
        co_await send_managed(client, std::move(answer));
    }
}

/// A client that is lost, or sends something that is no request, only loses its connection.
task<> serve_client(managed_store& store, unix_stream client) {
    try {
        co_await answer_all(store, client);
    } catch (const std::system_error&) {
    } catch (const rondo::error&) {
    }
}

task<> wait_for_end(ipc_channel<int> lifeline) {
    const auto end = co_await lifeline.receive();
    static_cast<void>(end);
}

task<> serve_until_end(unix_listener listener, ipc_channel<int> lifeline,
                       std::uint64_t bytes_max) {
    managed_store store(bytes_max);
    const auto handler = [&store](unix_stream client) {
        return serve_client(store, std::move(client));
    };
    auto serving = serve(std::move(listener), handler);
    co_await race(wait_for_end(std::move(lifeline)), std::move(serving));
}

}  // namespace

void serve_managed(unix_listener listener, ipc_channel<int> lifeline, std::string folder,
                   std::uint64_t bytes_max) {
    ::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the parent, which may need its objects then
    const std::string path = listener.local().path();
    run(serve_until_end(std::move(listener), std::move(lifeline), bytes_max));
    ::unlink(path.c_str());
    ::rmdir(folder.c_str());
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
