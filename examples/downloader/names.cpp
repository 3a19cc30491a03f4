// SPDX-License-Identifier: MIT
// From the last segment of a URL to a name that is safe to create.
#include "names.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "text.hpp"

namespace downloader {

namespace {

constexpr std::size_t extension_bytes_max = 20;

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

// Decodes once, never twice: "%252e" is the text "%2e". A '%' that starts no escape is kept.
std::string percent_decoded(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            const auto high = hex_digit(text[i + 1]);
            const auto low = hex_digit(text[i + 2]);
            if (high && low) {
                result += static_cast<char>(*high * 16 + *low);
                i += 2;
                continue;
            }
        }
        result += text[i];
    }
    return result;
}

// The largest prefix of at most `size` bytes that does not end inside a code point.
std::string_view whole_prefix(std::string_view text, std::size_t size) {
    if (text.size() <= size) return text;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
    return text.substr(0, size);
}

std::string shortened(const std::string& name) {
    if (name.size() <= name_bytes_max) return name;
    const auto dot = name.rfind('.');
    std::string extension;
    if (dot != std::string::npos && name.size() - dot <= extension_bytes_max)
        extension = name.substr(dot);
    return std::string(whole_prefix(name, name_bytes_max - extension.size())) + extension;
}

}  // namespace

std::string raw_name(std::string_view target) {
    target = target.substr(0, target.find_first_of("?#"));
    target.remove_prefix(target.rfind('/') + 1);  // npos + 1 is 0
    return target.empty() ? "index.html" : percent_decoded(target);
}

std::string safe_name(std::string_view rest) {
    std::string name;
    while (!rest.empty()) {
        const code_point c = first_code_point(rest);
        if (!c.valid || is_unsafe(c.value) || c.value == U'/' || c.value == U'\\')
            name += '_';
        else
            name += rest.substr(0, c.size);
        rest.remove_prefix(c.size);
    }
    if (name.empty()) return "_";
    if (name.front() == '.' || name.front() == '-') name.front() = '_';
    // Otherwise a server could choose the state that a later run believes in.
    if (name.ends_with(".rondo-get")) name += '_';
    return shortened(name);
}

std::string file_name(std::string_view target) { return safe_name(raw_name(target)); }

std::string numbered(const std::string& name, std::size_t number) {
    return name + "." + std::to_string(number);
}

std::string file_names::claim(const std::string& name) {
    if (taken_.try_emplace(name, 1).second) return name;
    // A counter per name keeps a list of n equal names linear. The loop is for lists that also
    // contain "name.2".
    for (;;) {
        std::string next = numbered(name, ++taken_[name]);
        if (taken_.try_emplace(next, 1).second) return next;
    }
}

found_names::found_names(std::optional<std::vector<std::string>> names)
    : names_(std::move(names)) {
    const auto is_part = [](const std::string& name) {
        return name.find(".part") != std::string::npos;
    };
    may_have_parts_ = !names_ || std::any_of(names_->begin(), names_->end(), is_part);
}

bool found_names::may_have(const std::string& name) const {
    return !names_ || std::binary_search(names_->begin(), names_->end(), name);
}

}  // namespace downloader
