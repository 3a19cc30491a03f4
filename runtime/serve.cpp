// SPDX-License-Identifier: MIT
// What `serve` says about a connection that failed.
#include <rondo/serve.hpp>

#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

endpoint peer_of(const tcp_stream& stream) noexcept {
    try {
        return stream.remote();
    } catch (...) {
        return {};
    }
}

void report_connection(const endpoint& peer, std::exception_ptr error) noexcept {
    try {
        exception_context context;
        context.message = "connection from " + peer.text();
        context.error = std::move(error);
        running_loop().call_exception_handler(context);
    } catch (...) {  // no memory for a sentence
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
