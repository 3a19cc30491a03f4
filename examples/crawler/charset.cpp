// SPDX-License-Identifier: MIT
// Which encoding, and iconv.
#include "charset.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

#include <iconv.h>

#include <rondo/http/fields.hpp>

namespace crawler {

namespace {

using rondo::http::same_word;

constexpr std::size_t meta_bytes_max = 1024;
constexpr std::string_view replacement = "\xef\xbf\xbd";

/// The charset of the first <meta> that has one: `charset=koi8-r` or `content="…; charset=koi8-r"`.
std::string_view charset_in_meta(std::string_view text) {
    for (auto at = text.find('<'); at != text.npos; at = text.find('<', at + 1)) {
        if (!same_word(text.substr(at, 5), "<meta")) continue;
        std::string_view rest = text.substr(at, text.find('>', at) - at);
        while (rest.size() > 8) {
            if (same_word(rest.substr(0, 8), "charset=")) {
                rest.remove_prefix(8);
                if (rest.starts_with('"') || rest.starts_with('\'')) rest.remove_prefix(1);
                return rest.substr(0, rest.find_first_of("\"' ;/\t\r\n"));
            }
            rest.remove_prefix(1);
        }
    }
    return {};
}

/// False for '/', which has a meaning in iconv_open(3).
bool is_part_of_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == ':';
}

class converter {
public:
    explicit converter(const std::string& from) : handle_(::iconv_open("UTF-8", from.c_str())) {}
    converter(const converter&) = delete;
    converter& operator=(const converter&) = delete;
    ~converter() {
        if (is_open()) ::iconv_close(handle_);
    }
    bool is_open() const { return handle_ != reinterpret_cast<iconv_t>(-1); }

    std::string all(std::string& text) {
        std::string result;
        std::array<char, 16 * 1024> buffer;
        char* from = text.data();
        std::size_t from_bytes = text.size();
        while (from_bytes > 0) {
            char* to = buffer.data();
            std::size_t to_bytes = buffer.size();
            const auto done = ::iconv(handle_, &from, &from_bytes, &to, &to_bytes);
            result.append(buffer.data(), buffer.size() - to_bytes);
            if (done != static_cast<std::size_t>(-1) || errno == E2BIG) continue;
            result += replacement;  // EILSEQ, EINVAL
            ++from;
            --from_bytes;
        }
        return result;
    }

private:
    iconv_t handle_;
};

}  // namespace

std::string charset_of(std::string_view page, std::string_view declared) {
    if (page.starts_with("\xef\xbb\xbf")) return "utf-8";
    if (page.starts_with("\xfe\xff")) return "utf-16be";
    if (page.starts_with("\xff\xfe")) return "utf-16le";
    if (declared.empty()) {
        declared = charset_in_meta(page.substr(0, meta_bytes_max));
        if (same_word(declared.substr(0, 6), "utf-16")) return "utf-8";  // it was found as ASCII
    }
    const bool is_name = !declared.empty() && declared.size() < 40 &&
                         std::all_of(declared.begin(), declared.end(), is_part_of_name);
    if (!is_name) return "utf-8";
    // As the WHATWG says: pages that call themselves Latin-1 or ASCII are written in windows-1252.
    for (const std::string_view name : {"iso-8859-1", "latin1", "us-ascii", "ascii"})
        if (same_word(declared, name)) return "windows-1252";
    return std::string(declared);
}

std::string to_utf8(std::string page, const std::string& charset) {
    if (same_word(charset, "utf-8") || same_word(charset, "utf8")) return page;
    converter from(charset);
    if (!from.is_open()) return page;
    return from.all(page);
}

}  // namespace crawler
