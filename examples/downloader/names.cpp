// SPDX-License-Identifier: MIT
// File names from URLs, text fit for a terminal, list files.
#include "names.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>

namespace downloader {

namespace {

constexpr std::size_t list_bytes_max = 64 << 20;
constexpr std::size_t extension_bytes_max = 20;

// Control characters of ASCII and Latin-1, and those that reverse the direction of text, which
// would show "gpj.exe" as "exe.jpg".
bool is_unsafe(char32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

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

code_point first_code_point(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {lead, 1, false};
    char32_t value = lead & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {lead, 1, false};
        value = (value << 6) | (byte(i) & 0x3fU);
    }
    const char32_t least = size == 4 ? 0x10000 : size == 3 ? 0x800 : 0x80;
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return {lead, 1, false};
    return {value, size, true};
}

std::string printable(std::string_view text, std::size_t bytes_max) {
    std::string result;
    while (!text.empty()) {
        const code_point c = first_code_point(text);
        if (result.size() + c.size > bytes_max) break;
        if (c.valid && !is_unsafe(c.value))
            result += text.substr(0, c.size);
        else
            result += '?';
        text.remove_prefix(c.size);
    }
    return result;
}

std::string file_name(std::string_view target) {
    target = target.substr(0, target.find_first_of("?#"));
    target.remove_prefix(target.rfind('/') + 1);  // npos + 1 is 0
    if (target.empty()) return "index.html";

    const std::string decoded = percent_decoded(target);
    std::string name;
    for (std::string_view rest = decoded; !rest.empty();) {
        const code_point c = first_code_point(rest);
        if (!c.valid || is_unsafe(c.value) || c.value == U'/' || c.value == U'\\')
            name += '_';
        else
            name += rest.substr(0, c.size);
        rest.remove_prefix(c.size);
    }
    if (name.front() == '.' || name.front() == '-') name.front() = '_';
    return shortened(name);
}

std::string file_names::claim(std::string_view target) {
    const std::string name = file_name(target);
    if (taken_.try_emplace(name, 1).second) return name;
    // A counter per name keeps a list of n equal names linear. The loop is for lists that also
    // contain "name.2".
    for (;;) {
        std::string next = name + "." + std::to_string(++taken_[name]);
        if (taken_.try_emplace(next, 1).second) return next;
    }
}

std::vector<std::string> parse_list(std::string_view text) {
    constexpr std::string_view blank = " \t\r";
    if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
    std::vector<std::string> urls;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() + (line.size() < text.size() ? 1 : 0));
        const auto first = line.find_first_not_of(blank);
        if (first == std::string_view::npos || line[first] == '#') continue;
        urls.emplace_back(line.substr(first, line.find_last_not_of(blank) - first + 1));
    }
    return urls;
}

std::vector<std::string> read_list_file(const std::string& path) {
    struct closer {
        void operator()(std::FILE* file) const {
            if (file != stdin) std::fclose(file);
        }
    };
    const std::unique_ptr<std::FILE, closer> file(path == "-" ? stdin
                                                              : std::fopen(path.c_str(), "re"));
    if (!file) throw std::system_error(errno, std::generic_category(), "open " + printable(path));

    std::string text;
    std::array<char, 65536> block;
    while (const auto size = std::fread(block.data(), 1, block.size(), file.get())) {
        text.append(block.data(), size);
        if (text.size() > list_bytes_max)
            throw std::runtime_error(printable(path) + ": a list file of more than 64 MiB");
    }
    if (std::ferror(file.get()))
        throw std::system_error(errno, std::generic_category(), "read " + printable(path));
    return parse_list(text);
}

}  // namespace downloader
