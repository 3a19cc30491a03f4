// SPDX-License-Identifier: MIT
// The parser of multipart/form-data (RFC 7578, RFC 2046): bytes in, parts out, in pieces of any
// size. The bodies of parts are views of the input, so an upload of any size takes no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/http/fields.hpp>

#include "http/h1/field_lines.hpp"
#include "http/h1/message.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

struct multipart_limits {
    std::size_t parts = 1000;
    std::size_t head_bytes = std::size_t{16} * 1024;  // of a part
    std::size_t fields = 32;                          // of a part
};

class multipart_parser {
public:
    /// For a body of `content_type`, "multipart/form-data; boundary=...". It may have failed at
    /// once: see why().
    explicit multipart_parser(std::string_view content_type, const multipart_limits& bounds = {});

    enum class event : std::uint8_t {
        need_more,  ///< all bytes were consumed; give more
        part,       ///< the head of the next part, in name(), file_name(), headers()
        body,       ///< bytes of the part, in `step.body`
        end,        ///< the last part has ended; what follows means nothing
        failed,     ///< the body is malformed; why() says how
    };
    struct step {
        event what = event::need_more;
        std::size_t consumed = 0;
        std::string_view body;  // good until the next call
    };
    step next(std::string_view bytes);
    /// Says that the body has ended. Returns: false if it is cut off.
    bool finish();

    /// Name of the form's field.
    const std::string& name() const noexcept { return name_; }
    /// The name of the file as the client gave it: never a path to be opened. Empty for a field
    /// that is no file.
    const std::string& file_name() const noexcept { return file_name_; }
    bool is_file() const noexcept { return is_file_; }
    const fields& headers() const noexcept { return headers_; }
    const h1::problem& why() const noexcept { return why_; }

private:
    enum class state : std::uint8_t {
        preamble,         // before the first boundary
        after_delimiter,  // "--" or the end of the line
        head,
        body,
        ended,
        failed,
    };
    step take_after_delimiter(std::string_view bytes);
    step take_head(std::string_view bytes);
    step take_body(std::string_view bytes);
    std::size_t match(std::string_view bytes);
    bool read_disposition();
    step fail(h1::fault kind, std::size_t used, const char* text);

    multipart_limits bounds_;
    h1::problem why_;
    h1::field_lines lines_;
    fields headers_;
    std::string delimiter_;  // "\r\n--" and the boundary
    std::string name_, file_name_;
    std::size_t matched_ = 2;  // bytes of the delimiter
    std::size_t granted_ = 2;  // of them, the line end that comes before the body
    std::size_t part_count_ = 0;
    std::size_t head_bytes_ = 0;
    state state_ = state::preamble;
    bool is_file_ = false;
    bool has_dash_ = false;
    bool has_cr_ = false;
    bool has_padding_ = false;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
