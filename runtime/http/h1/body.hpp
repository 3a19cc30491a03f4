// SPDX-License-Identifier: MIT
// The framing of a body: by content-length, in chunks, or until the connection ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/h1/field_lines.hpp"
#include "http/h1/message.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

class body_decoder {
public:
    /// Forgets everything; `kind` is none.
    void clear() noexcept;
    /// `may_fold`: lines of trailers may continue the line before.
    void begin(framing kind, std::int64_t length, const limits& bounds, bool may_fold);

    /// Gives `body`, `end`, `need_more` or `failed`.
    step next(std::string_view bytes);

    framing kind() const noexcept { return kind_; }
    std::uint64_t bytes() const noexcept { return bytes_; }
    const fields& trailers() const noexcept { return trailers_; }
    /// Why next() failed.
    const problem& why() const noexcept { return why_; }
    /// "after 5 of 50 bytes": where the connection ended.
    std::string position() const;

private:
    enum class state : std::uint8_t {
        size,        // hexadecimal digits
        after_size,  // spaces, then ';' or CR
        extension,   // until CR
        size_lf,     // the LF of the size line
        data,        // chunk_left_ bytes
        data_cr,     // CR LF after them
        data_lf,
        trailers,
    };
    step next_chunked(std::string_view bytes);
    const char* take_framing_byte(char c);
    const char* take_after_size(char c);
    const char* take_extension(char c);
    const char* end_size_line();
    step take_data(std::string_view bytes, std::size_t used);
    step take_trailers(std::string_view bytes, std::size_t used);
    step refuse(fault kind, std::size_t used, const char* text);

    problem why_;
    field_lines lines_;
    fields trailers_;
    limits bounds_;
    std::uint64_t bytes_ = 0;
    std::uint64_t left_ = 0;  // of the body or of the chunk
    std::size_t excess_ = 0;  // bytes of extensions beyond what a chunk may have
    std::size_t trailer_bytes_ = 0;
    int digits_ = 0;
    bool may_fold_ = false;
    framing kind_ = framing::none;
    state state_ = state::size;
};

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
