// SPDX-License-Identifier: MIT
// Which errors are worth another attempt.
#include "failure.hpp"

#include <algorithm>
#include <string_view>
#include <system_error>

#include <fmt/core.h>
#include <rondo/http/error.hpp>

#include "text.hpp"

namespace downloader {

namespace {

namespace http = rondo::http;
using namespace std::chrono_literals;

template <class T>
const T* as(const std::exception& error) {
    return dynamic_cast<const T*>(&error);
}

}  // namespace

bool is_busy_status(int status) {
    for (const int busy : {408, 425, 429, 500, 502, 503, 504})
        if (status == busy) return true;
    return false;
}

hope hope_after(const std::exception& error) {
    if (as<busy_server>(error) || as<http::timeout_error>(error)) return hope::good;
    if (as<http::connect_error>(error)) return hope::little;
    if (as<http::tls_error>(error) || as<http::url_error>(error) || as<http::limit_error>(error) ||
        as<http::redirect_error>(error) || as<http::status_error>(error))
        return hope::none;
    if (as<http::body_error>(error) || as<http::protocol_error>(error)) return hope::good;
    // A lost connection; an error of the disk is a `refused`.
    return as<std::system_error>(error) || as<http::error>(error) ? hope::good : hope::none;
}

std::string reason_of(const std::exception& error) {
    std::string_view text = error.what();
    const auto cut = [&](std::string_view method, std::string_view url) {
        const std::string request = fmt::format(": {} {}", method, url);
        if (text.ends_with(request)) text.remove_suffix(request.size());
    };
    if (const auto* failed = as<http::error>(error)) cut(failed->method(), failed->url());
    return printable(text, 500);
}

std::optional<backoff::time> backoff::next(const std::exception& error, double chance) {
    const hope left = hope_after(error);
    if (left == hope::none || failed_ >= retries_) return std::nullopt;
    if (left == hope::little && !was_connected_ && failed_ >= 1) return std::nullopt;
    time pause = std::min<time>(500ms * (1 << std::min(failed_, 6U)), 30s);
    pause -= time(static_cast<time::rep>(chance * static_cast<double>(pause.count()) / 4));
    if (const auto* busy = as<busy_server>(error); busy && busy->retry_after) {
        if (*busy->retry_after > retry_after_max) return std::nullopt;
        pause = std::max<time>(pause, *busy->retry_after);
    }
    ++failed_;
    return pause;
}

}  // namespace downloader
