// SPDX-License-Identifier: MIT
// A client whose connections are of memory.
#include <rondo/http/test_client.hpp>

#include <rondo/create_task.hpp>
#include <rondo/memory_stream.hpp>

#include "http/client/session_state.hpp"
#include "http/server/server.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

test_client::test_client(const router& site, server_options options)
    : server_(rondo::detail::make_http_server(site, options)), session_("http://localhost") {
    static_cast<void>(running_loop());
    session_.state().connector = [server = server_] {
        auto [near, far] = memory_stream::pair();
        using stream = rondo::detail::http_stream_of<memory_stream>;
        create_task(rondo::detail::serve_http(server, std::make_unique<stream>(std::move(far))),
                    {.name = "a connection of a test_client"});
        return std::move(near);
    };
}

test_client::~test_client() {
    rondo::detail::end_http_server(*server_);
    rondo::detail::cut_off_connections(*server_);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
