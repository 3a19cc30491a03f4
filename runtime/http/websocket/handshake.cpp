// SPDX-License-Identifier: MIT
// Requests and replies that open a WebSocket.
#include "http/websocket/handshake.hpp"

#include <algorithm>
#include <cstring>

#include <rondo/http/url.hpp>

#include "http/ascii.hpp"
#include "http/auth.hpp"
#include "http/client/random.hpp"
#include "http/websocket/sha1.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

namespace {

constexpr std::string_view version = "13";
constexpr std::string_view magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view extensions_field = "sec-websocket-extensions";
constexpr std::string_view protocol_field = "sec-websocket-protocol";

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const std::string& each : words) all += (all.empty() ? "" : ", ") + each;
    return all;
}

/// 16 bytes in base64.
bool is_key(std::string_view key) noexcept {
    const auto is_letter = [](char c) {
        return ascii::is_alpha(c) || ascii::is_digit(c) || c == '+' || c == '/';
    };
    return key.size() == 24 && key.ends_with("==") &&
           std::all_of(key.begin(), key.end() - 2, is_letter);
}

/// True if a page of `origin` belongs to the site that the field Host names. The scheme is not
/// compared: behind a proxy the server does not know its own.
bool is_own_origin(std::string_view origin, std::string_view host) {
    try {
        const url page(origin);
        const url site(std::string(page.scheme()) + "://" + std::string(host));
        return page.is_http() && page.host() == site.host() && page.port() == site.port();
    } catch (const url_error&) {  // "null", or no URL
        return false;
    }
}

bool may_connect(const request& asked, const std::string& origins) {
    const auto origin = asked.header("origin");
    if (!origin) return true;  // no browser
    if (origins.empty()) return is_own_origin(*origin, asked.host());
    for (const std::string_view each : split_list(origins))
        if (each == "*" || same_word(each, *origin)) return true;
    return false;
}

reply refusal(int status, std::string text) {
    reply made = reply::text(std::move(text) + '\n', status);
    if (status == 426) {
        made.header("upgrade", "websocket");
        made.header("sec-websocket-version", version);
    }
    return made;
}

}  // namespace

std::string accept_key(std::string_view key) {
    return base64(sha1(std::string(key) + std::string(magic)));
}

std::string random_key() {
    const std::uint64_t words[] = {rondo::detail::random_word(), rondo::detail::random_word()};
    char bytes[sizeof words];
    std::memcpy(bytes, words, sizeof words);
    return base64({bytes, sizeof bytes});
}

// -- client --------------------------------------------------------------------------------------
void add_request_fields(fields& to, const wish& wanted, std::string_view key) {
    to.set("connection", "Upgrade");
    to.set("upgrade", "websocket");
    to.set("sec-websocket-version", version);
    to.set("sec-websocket-key", key);
    if (!wanted.subprotocols.empty()) to.set(protocol_field, joined(wanted.subprotocols));
    if (wanted.compression && has_deflate())
        to.set(extensions_field, deflate_offer(wanted.in_context));
}

std::optional<agreement> read_response(const fields& answer, const wish& wanted,
                                       std::string_view key, std::string& error) {
    if (!answer.has_token("upgrade", "websocket") || !answer.has_token("connection", "upgrade")) {
        error = "the server switches to another protocol than WebSocket";
        return std::nullopt;
    }
    if (answer.get("sec-websocket-accept").value_or("") != accept_key(key)) {
        error = "the server's sec-websocket-accept does not answer our key";
        return std::nullopt;
    }
    agreement made;
    made.subprotocol = answer.joined(protocol_field);
    const auto& offered = wanted.subprotocols;
    if (!made.subprotocol.empty() &&
        std::find(offered.begin(), offered.end(), made.subprotocol) == offered.end()) {
        error = "the server chose the subprotocol \"" + ascii::printable(made.subprotocol) +
                "\", which was not offered";
        return std::nullopt;
    }
    const std::string extensions = answer.joined(extensions_field);
    if (extensions.empty()) return made;
    const auto terms = wanted.compression && has_deflate()
                           ? read_answer(extensions, wanted.in_context)
                           : std::nullopt;
    if (!terms) {
        error = "the server chose an extension that was not offered: \"" +
                ascii::printable(extensions) + '"';
        return std::nullopt;
    }
    made.deflate = *terms;
    return made;
}

// -- server --------------------------------------------------------------------------------------
std::optional<reply> read_request(const request& asked, const policy& allowed, fields& answer,
                                  agreement& made) {
    const fields& headers = asked.headers();
    if (asked.method() != "GET" || asked.version() != http::version::http_1_1 ||
        !headers.has_token("upgrade", "websocket") || !headers.has_token("connection", "upgrade"))
        return refusal(426, "this path speaks WebSocket, over HTTP/1.1 only");
    if (asked.content_length() != std::uint64_t{0})
        return refusal(400, "a request that opens a WebSocket has no body");
    const auto key = headers.get("sec-websocket-key");
    if (!key || headers.get_all("sec-websocket-key").size() != 1 || !is_key(*key))
        return refusal(400, "the field sec-websocket-key is missing, or is not 16 bytes in base64");
    const auto spoken = headers.get("sec-websocket-version");
    if (!spoken) return refusal(400, "the field sec-websocket-version is missing");
    if (*spoken != version) return refusal(426, "this server speaks version 13 of WebSocket");
    if (!may_connect(asked, allowed.origins))
        return refusal(403, "pages of this origin may not connect");

    answer.set("connection", "Upgrade");
    answer.set("upgrade", "websocket");
    answer.set("sec-websocket-accept", accept_key(*key));
    const std::string offered = headers.joined(protocol_field);
    const std::vector<std::string_view> names = split_list(offered);
    for (const std::string_view each : split_list(allowed.subprotocols)) {
        if (std::find(names.begin(), names.end(), each) == names.end()) continue;
        made.subprotocol = each;
        answer.set(protocol_field, each);
        break;
    }
    if (!allowed.compression || !has_deflate()) return std::nullopt;
    std::string chosen;
    made.deflate = take_offer(headers.joined(extensions_field), allowed.in_context, chosen);
    if (made.deflate.is_on) answer.set(extensions_field, chosen);
    return std::nullopt;
}

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
