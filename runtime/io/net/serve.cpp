// SPDX-License-Identifier: MIT
// Reports of failed connections, and the grace time at the end of `serve`.
#include <rondo/serve.hpp>

#include <system_error>

#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

std::string name_of_peer(const byte_stream& stream) noexcept {
    try {
        return stream_access::state(stream)->name();
    } catch (...) {
        return {};
    }
}

namespace {

/// True if the peer has left, which is normal and no error of the handler.
bool is_departure(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const std::system_error& e) {
        return e.code() == std::errc::connection_reset || e.code() == std::errc::broken_pipe;
    } catch (...) {
        return false;
    }
}

}  // namespace

void report_connection(const std::string& peer, std::exception_ptr error) noexcept {
    try {
        exception_context context;
        context.message = "connection from " + (peer.empty() ? "an unknown peer" : peer);
        context.routine = is_departure(error);
        context.error = std::move(error);
        running_loop().call_exception_handler(context);
    } catch (...) {  // no memory for the report
    }
}

task<> end_within(children& connections, duration grace) {
    try {
        timeout_scope scope(deadline_after(grace));
        try {
            while (connections.running() != 0) co_await connections.next_end();
        } catch (const cancelled&) {
            if (!scope.timed_out()) throw;
        }
    } catch (const cancelled&) {
    }
    connections.cancel();
    co_await connections.ended();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
