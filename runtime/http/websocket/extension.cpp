// SPDX-License-Identifier: MIT
// The negotiation of permessage-deflate (RFC 7692, section 7.1).
#include <algorithm>

#include <rondo/http/fields.hpp>

#include "http/ascii.hpp"
#include "http/websocket/deflate.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace ws {

namespace {

constexpr std::string_view extension = "permessage-deflate";

/// Parameters of an offer or an answer.
struct wishes {
    bool server_no_context = false;
    bool client_no_context = false;
    int server_bits = 0;  // 0: not named
    bool names_client_bits = false;
};

/// 8 to 15; 0 for another text.
int bits_of(std::string_view text) noexcept {
    if (text.size() == 1 && text[0] >= '8' && text[0] <= '9') return text[0] - '0';
    if (text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5')
        return 10 + text[1] - '0';
    return 0;
}

/// Returns: nothing for a parameter that is unknown, malformed or there twice.
std::optional<wishes> parse(const parameters& from, bool is_offer) {
    wishes found;
    for (const auto& [name, value] : from.all()) {
        if (same_word(name, "server_no_context_takeover")) {
            if (found.server_no_context || !value.empty()) return std::nullopt;
            found.server_no_context = true;
        } else if (same_word(name, "client_no_context_takeover")) {
            if (found.client_no_context || !value.empty()) return std::nullopt;
            found.client_no_context = true;
        } else if (same_word(name, "server_max_window_bits")) {
            if (found.server_bits != 0 || bits_of(value) == 0) return std::nullopt;
            found.server_bits = bits_of(value);
        } else if (same_word(name, "client_max_window_bits")) {
            const bool is_good = bits_of(value) != 0 || (is_offer && value.empty());
            if (found.names_client_bits || !is_good) return std::nullopt;
            found.names_client_bits = true;
        } else {
            return std::nullopt;
        }
    }
    return found;
}

}  // namespace

std::string deflate_offer(bool in_context) {
    std::string offer(extension);
    // client_max_window_bits is not offered: with it a server could ask for a window of 256 bytes,
    // which zlib does not make.
    if (!in_context) offer += "; server_no_context_takeover; client_no_context_takeover";
    return offer;
}

deflate_terms take_offer(std::string_view offers, bool in_context, std::string& answer) {
    for (const std::string_view each : split_list(offers)) {
        const parameters offer(each);
        if (!same_word(offer.value(), extension)) continue;
        const std::optional<wishes> wanted = parse(offer, true);
        if (!wanted || wanted->server_bits == 8) continue;  // zlib makes no window of 256 bytes
        deflate_terms terms;
        terms.is_on = true;
        terms.sends_in_context = in_context && !wanted->server_no_context;
        terms.receives_in_context = in_context && !wanted->client_no_context;
        answer = extension;
        if (!terms.sends_in_context) answer += "; server_no_context_takeover";
        if (!terms.receives_in_context) answer += "; client_no_context_takeover";
        if (wanted->server_bits != 0) {
            terms.window_bits = wanted->server_bits;
            answer += "; server_max_window_bits=" + std::to_string(terms.window_bits);
        }
        return terms;
    }
    return {};
}

std::optional<deflate_terms> read_answer(std::string_view answer, bool in_context) {
    const std::vector<std::string_view> all = split_list(answer);
    if (all.size() != 1) return std::nullopt;
    const parameters chosen(all.front());
    if (!same_word(chosen.value(), extension)) return std::nullopt;
    const std::optional<wishes> wanted = parse(chosen, false);
    if (!wanted || wanted->names_client_bits) return std::nullopt;
    deflate_terms terms;
    terms.is_on = true;
    terms.sends_in_context = in_context && !wanted->client_no_context;
    terms.receives_in_context = !wanted->server_no_context;
    return terms;
}

}  // namespace ws
}  // namespace http
}  // namespace v0
}  // namespace rondo
