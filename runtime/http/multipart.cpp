// SPDX-License-Identifier: MIT
#include "http/multipart.hpp"

#include <rondo/http/error.hpp>
#include <rondo/http/fields.hpp>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

void append_escaped(std::string& to, std::string_view text) {
    to += '"';
    for (const char c : text) {
        if (c == '"')
            to += "%22";
        else if (c == '\r')
            to += "%0D";
        else if (c == '\n')
            to += "%0A";
        else if (ascii::is_control(c) && c != '\t')
            throw error("the name of a part or of its file has a control character");
        else
            (c == '\\' ? to += c : to) += c;  // it would escape the quote after it
    }
    to += '"';
}

}  // namespace

std::string make_boundary(std::uint64_t random_high, std::uint64_t random_low) {
    std::string boundary = "rondo-";
    for (std::uint64_t bits : {random_high, random_low})
        for (int i = 0; i < 16; ++i, bits <<= 4) boundary += ascii::hex_digits[bits >> 60];
    return boundary;
}

std::string multipart_content_type(std::string_view boundary) {
    return "multipart/form-data; boundary=" + std::string(boundary);
}

std::string part_head(std::string_view boundary, std::string_view name, std::string_view file_name,
                      std::string_view content_type) {
    if (!is_field_value(content_type))
        throw error("the content type of a part has a line end or a control character");
    std::string head = "--" + std::string(boundary) + "\r\ncontent-disposition: form-data; name=";
    append_escaped(head, name);
    if (!file_name.empty()) append_escaped(head += "; filename=", file_name);
    head += "\r\n";
    if (!content_type.empty()) (head += "content-type: ") += std::string(content_type) + "\r\n";
    return head += "\r\n";
}

std::string closing_boundary(std::string_view boundary) {
    return "--" + std::string(boundary) + "--\r\n";
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
