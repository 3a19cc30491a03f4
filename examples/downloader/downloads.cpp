// SPDX-License-Identifier: MIT
// The session, as the options say.
#include "downloads.hpp"

#include <algorithm>

#include <rondo/tls_context.hpp>

namespace downloader {

namespace {

namespace http = rondo::http;

http::session_options session_of(const options& wanted) {
    http::session_options result;
    result.connections_per_host = wanted.per_host;
    result.connections = std::max<std::size_t>(wanted.jobs, wanted.per_host) * 4;
    result.cookies = false;
    result.decode = false;  // a file is what the server has
    if (wanted.version == protocol::http_1_1) result.version = http::version::http_1_1;
    if (wanted.version == protocol::http_2) result.version = http::version::http_2;
    result.stream_window = 256 * 1024;  // a disk keeps up, or holds all streams up
    result.timeouts.connect = result.timeouts.tls = wanted.timeout;
    result.timeouts.headers = result.timeouts.read = wanted.timeout;
    result.timeouts.low_speed = wanted.low_speed_time;
    result.timeouts.low_speed_bytes = static_cast<std::size_t>(wanted.low_speed);
    if (wanted.low_speed == 0) result.timeouts.low_speed = std::chrono::seconds(0);
    return result;
}

}  // namespace

downloads::downloads(const options& what, const folder& in, progress& display)
    : wanted(what), to(in), show(display), web(session_of(what)), limit(what.rate_max), disk(in) {
    web.headers().set("user-agent", what.user_agent);
    web.headers().set("accept", "*/*");
    web.headers().set("accept-encoding", "identity");
    if (what.netrc) web.netrc(*what.netrc);
    if (what.proxy.empty())
        web.proxy_from_environment();
    else
        web.proxy(what.proxy);
    if (what.cacert.empty() && !what.insecure) return;
    rondo::tls::client_context trust;
    if (!what.cacert.empty()) trust.trust_file(what.cacert);
    if (what.insecure) trust.insecure_skip_verification();
    web.tls(trust);
}

http::request_builder downloads::request(std::string_view method, const http::url& url,
                                         bool is_small) {
    http::request_builder result = web.request(method, url);
    result.decode(false);
    const bool may_be_2 = has_many && is_small;
    if (wanted.version == protocol::automatic && !may_be_2) result.version(http::version::http_1_1);
    for (const auto& [name, value] : wanted.headers) result.header(name, value);
    if (wanted.user) result.basic_auth(wanted.user->first, wanted.user->second);
    return result;
}

}  // namespace downloader
