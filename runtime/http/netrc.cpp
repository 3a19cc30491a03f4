// SPDX-License-Identifier: MIT
#include "http/netrc.hpp"

#include <algorithm>

#include <rondo/http/fields.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

constexpr std::string_view blank = " \t\r\n";

class netrc_tokens {
public:
    explicit netrc_tokens(std::string_view text) : rest_(text) {}

    /// The next token, without quotes; nothing at the end.
    std::optional<std::string> next() {
        skip_blank();
        while (!rest_.empty() && rest_.front() == '#') {
            rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
            skip_blank();
        }
        if (rest_.empty()) return std::nullopt;
        std::string token;
        if (rest_.front() != '"') {
            token = rest_.substr(0, rest_.find_first_of(blank));
            rest_.remove_prefix(token.size());
            return token;
        }
        std::size_t i = 1;
        for (; i < rest_.size() && rest_[i] != '"'; ++i) {
            if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
            token += rest_[i];
        }
        rest_.remove_prefix(std::min(i + 1, rest_.size()));
        return token;
    }

    /// The lines of a macro, up to an empty one.
    void skip_macro() {
        const auto end = std::min(rest_.find("\n\n"), rest_.find("\n\r\n"));
        rest_.remove_prefix(std::min(end, rest_.size()));
    }

private:
    void skip_blank() {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(blank), rest_.size()));
    }
    std::string_view rest_;
};

}  // namespace

std::optional<netrc_entry> netrc_lookup(std::string_view text, std::string_view host) {
    netrc_tokens tokens(text);
    std::optional<netrc_entry> found, fallback;
    std::optional<netrc_entry>* filled = nullptr;  // the entry that tokens are for
    bool is_exact = false;
    while (const auto token = tokens.next()) {
        if (*token == "machine" || *token == "default") {
            if (is_exact) break;
            const bool is_default = *token == "default";
            is_exact = !is_default && same_word(tokens.next().value_or(""), host);
            filled = is_exact ? &found : is_default ? &fallback : nullptr;
            if (filled != nullptr) filled->emplace();
        } else if (*token == "macdef") {
            tokens.skip_macro();
        } else if (*token == "login" || *token == "password" || *token == "account") {
            const std::string value = tokens.next().value_or("");
            if (filled == nullptr) continue;
            if (*token == "login") (*filled)->user = value;
            if (*token == "password") (*filled)->password = value;
        }
    }
    return found ? found : fallback;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
