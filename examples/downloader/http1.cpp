// SPDX-License-Identifier: MIT
// Requests; answers through Boost.Beast's parser without I/O.
//
// Beast wants each structured element (the head, a chunk's size line, the trailers) in one
// contiguous buffer. Its own limit counts only bytes that are not consumed yet, so a head that is
// split over reads escapes it. So lines are collected, checked and counted here, and Beast gets
// whole elements; bodies pass through it in place.
//
// We refuse several things that Beast accepts: folded fields; several Content-Length fields or
// lists in one (even equal ones); every transfer coding except a single "chunked" (with any other,
// Beast accepts a Content-Length after it); Transfer-Encoding in HTTP/1.0; status codes outside 100
// to 599; a switch of protocols without a request for it; control characters in chunk extensions.
#include "http1.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/core.h>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "names.hpp"

namespace downloader {

std::string request_text(const url& where, request_options how) {
    check_host(where.host);
    if (where.target.empty() || where.target.front() != '/' ||
        !std::all_of(where.target.begin(), where.target.end(), is_visible_ascii))
        throw http_error(fmt::format("\"{}\" is not a request target", printable(where.target)));
    if (how.user_agent.empty() ||
        !std::all_of(how.user_agent.begin(), how.user_agent.end(),
                     [](char c) { return c == ' ' || is_visible_ascii(c); }))
        throw http_error(fmt::format("\"{}\" is not a user agent", printable(how.user_agent)));
    return fmt::format(
        "{} {} HTTP/1.1\r\n"
        "Host: {}\r\n"
        "User-Agent: {}\r\n"
        "Accept: */*\r\n"
        "Accept-Encoding: identity\r\n"
        "Connection: {}\r\n"
        "\r\n",
        how.method == http_method::head ? "HEAD" : "GET", where.target, where.authority(),
        how.user_agent, how.keep_alive ? "keep-alive" : "close");
}

namespace {

namespace beast = boost::beast::http;
using boost::beast::error_code;
using beast_text = boost::beast::string_view;

// The largest size of a file. Not boost::none: without a limit, Beast 1.74 calls every
// Content-Length too large.
constexpr std::uint64_t body_bytes_max = std::numeric_limits<std::int64_t>::max();

std::string_view view(beast_text text) { return {text.data(), text.size()}; }

const char* explain(const error_code& error) {
    if (error == beast::error::bad_content_length)
        return "its Content-Length is not one plain number, or is contradicted";
    if (error == beast::error::bad_transfer_encoding)
        return "its Transfer-Encoding contradicts its other fields";
    if (error == beast::error::bad_chunk) return "a chunk does not start with its size";
    if (error == beast::error::bad_chunk_extension)
        return "what follows a chunk's size is malformed";
    if (error == beast::error::body_limit) return "its body is larger than any file";
    if (error == beast::error::bad_version || error == beast::error::bad_status ||
        error == beast::error::bad_reason)
        return "its status line is malformed";
    return "a header field is malformed";
}

[[noreturn]] void refuse(std::string_view why) {
    throw http_error(fmt::format("the server's answer is refused: {}", why));
}

struct field {
    std::string name;
    std::string value;
};

// Beast's callbacks: they keep the head, refuse more than Beast does, and note the end of a chunk.
class answer final : public beast::basic_parser<false> {
public:
    explicit answer(bool without_body) {
        header_limit(2 * response_parser::head_bytes_max);  // ours comes first
        body_limit(body_bytes_max);
        skip(without_body);
    }

    int status = 0;
    int version = 0;
    std::string reason;
    std::vector<field> fields;
    std::uint64_t chunk_left = 0;

    const field* find(std::string_view name) const noexcept {
        for (const field& f : fields)
            if (same_word(f.name, name)) return &f;
        return nullptr;
    }

private:
    void on_response_impl(int code, beast_text text, int http_version, error_code&) override {
        if (code < 100 || code > 599) refuse("its status code is not one of HTTP's");
        if (code == 101) refuse("it switches the protocol without being asked to");
        status = code;
        version = http_version;
        reason = view(text);
    }

    void on_field_impl(beast::field known, beast_text name, beast_text value,
                       error_code&) override {
        if (is_header_done()) {  // a trailer: it is not used, but it must not be endless
            if (++trailers_ > response_parser::fields_max) refuse("it has too many trailer fields");
            return;
        }
        if (fields.size() == response_parser::fields_max) refuse("it has too many header fields");
        if (known == beast::field::content_length) {
            if (find("Content-Length")) refuse("it has several Content-Length fields");
            if (view(value).find_first_not_of("0123456789") != std::string_view::npos)
                refuse("its Content-Length is not one plain number");
        }
        if (known == beast::field::transfer_encoding) {
            if (find("Transfer-Encoding")) refuse("it has several Transfer-Encoding fields");
            if (!same_word(view(value), "chunked"))
                refuse("it uses a transfer coding other than chunked");
        }
        fields.push_back({std::string(view(name)), std::string(view(value))});
    }

    void on_header_impl(error_code&) override {
        if (version < 11 && find("Transfer-Encoding"))
            refuse("it has a Transfer-Encoding, which HTTP/1.0 does not know");
    }

    void on_chunk_header_impl(std::uint64_t size, beast_text extensions, error_code&) override {
        const auto is_control = [](char c) {
            return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
        };
        if (std::any_of(extensions.begin(), extensions.end(), is_control))
            refuse("a control character follows a chunk's size");
        chunk_left = size;
    }

    std::size_t on_chunk_body_impl(std::uint64_t left, beast_text body, error_code&) override {
        chunk_left = left - body.size();
        return body.size();
    }

    std::size_t on_body_impl(beast_text body, error_code&) override { return body.size(); }
    void on_request_impl(beast::verb, beast_text, beast_text, int, error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    void on_finish_impl(error_code&) override {}

    std::size_t trailers_ = 0;
};

}  // namespace

class response_parser::engine {
public:
    explicit engine(http_method asked) : asked_(asked) {
        parser_ = std::make_unique<answer>(asked_ == http_method::head);
    }

    piece feed(std::string_view bytes) {
        if (broken_) refuse("it was malformed before");
        broken_ = true;  // until this call has come to its end
        const piece result = step(bytes);
        broken_ = false;
        return result;
    }

    void finish() {
        if (done()) return;
        if (!header_done_)
            refuse_truncated(head_bytes_ == 0 ? "without an answer" : "inside the answer's header");
        if (const auto length = parser_->content_length())
            refuse_truncated(fmt::format("after {} of {} bytes", body_bytes_, *length));
        if (parser_->chunked())
            refuse_truncated(fmt::format(
                "after {} bytes of a chunked body, {}", body_bytes_,
                parser_->chunk_left == 0
                    ? std::string("before its last chunk was complete")
                    : fmt::format("{} bytes before the end of a chunk", parser_->chunk_left)));
        error_code error;
        parser_->put_eof(error);
        if (error) refuse(explain(error));
    }

    const answer& head() const { return *parser_; }
    bool header_done() const { return header_done_; }
    bool done() const { return header_done_ && parser_->is_done(); }
    std::uint64_t body_bytes() const { return body_bytes_; }

private:
    [[noreturn]] void refuse_truncated(std::string_view where) {
        broken_ = true;
        throw http_error(fmt::format("the server closed the connection {}", where));
    }

    piece step(std::string_view bytes) {
        std::size_t used = 0;
        while (used < bytes.size() && !done()) {
            if (in_body()) {
                const std::string_view body = take_body(bytes.substr(used));
                return {used + body.size(), body};
            }
            const bool was_in_head = !header_done_;
            used += take_line(bytes.substr(used));
            if (was_in_head && header_done_) break;
        }
        return {used, {}};
    }

    bool in_body() const {
        return header_done_ && (!parser_->chunked() || parser_->chunk_left > 0);
    }

    std::string_view take_body(std::string_view bytes) {
        const std::string_view body = bytes.substr(0, put(bytes));
        body_bytes_ += body.size();
        ends_chunk_ = parser_->chunked() && parser_->chunk_left == 0;
        if (body_bytes_ > body_bytes_max) refuse("its body is larger than any file");
        return body;
    }

    // Collects one line, or the part of it that has come. A complete line may complete its element.
    std::size_t take_line(std::string_view bytes) {
        const auto newline = bytes.find('\n');
        const std::size_t size = newline == std::string_view::npos ? bytes.size() : newline + 1;
        count(size);
        lines_.append(bytes.data(), size);
        if (!header_done_) check_protocol();
        if (newline == std::string_view::npos) return size;

        const std::string_view line = std::string_view(lines_).substr(line_start_);
        if (line.size() < 2 || line[line.size() - 2] != '\r')
            refuse("a line ends with a bare line feed");
        if (line.front() == ' ' || line.front() == '\t') refuse("a line starts with a space");
        const bool is_blank = line.size() == 2;
        line_start_ = lines_.size();
        if (header_done_)
            end_chunk_line(is_blank);
        else if (is_blank)
            end_head();
        return size;
    }

    void count(std::size_t size) {
        if (header_done_) {
            if (size > trailer_bytes_max - lines_.size())
                refuse("its trailers or chunk extensions are longer than 32 KiB");
        } else {
            if (size > head_bytes_max - head_bytes_) refuse("its header is longer than 64 KiB");
            head_bytes_ += size;
        }
    }

    // Checked as early as possible: a server of another protocol may send a few bytes and then
    // wait.
    void check_protocol() const {
        constexpr std::string_view expected = "HTTP/1.";
        const auto size = std::min(lines_.size(), expected.size());
        if (std::string_view(lines_).substr(0, size) != expected.substr(0, size))
            throw http_error(fmt::format("the server does not speak HTTP/1: it says \"{}\"",
                                         printable(lines_, 20)));
    }

    void end_head() {
        put_lines();
        if (!parser_->is_header_done()) refuse("its header is malformed");
        if (parser_->status / 100 != 1) {
            header_done_ = true;
            return;
        }
        if (++interim_ > interim_max) refuse("it consists of interim answers");
        parser_ = std::make_unique<answer>(asked_ == http_method::head);
    }

    // Beast wants the line end after a chunk's data together with the next size line, and the last
    // size line together with the trailers, so it may ask for more.
    void end_chunk_line(bool is_blank) {
        if (ends_chunk_ && !is_blank) refuse("a chunk is longer than its size says");
        ends_chunk_ = false;
        error_code error;
        const auto used = parser_->put(boost::asio::buffer(lines_), error);
        if (error == beast::error::need_more) return;
        if (error) refuse(explain(error));
        clear_lines(used);
    }

    void put_lines() { clear_lines(put(lines_)); }

    void clear_lines(std::size_t used) {
        if (used != lines_.size()) refuse("its framing is malformed");
        lines_.clear();
        line_start_ = 0;
    }

    std::size_t put(std::string_view bytes) {
        error_code error;
        const auto used = parser_->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
        if (error) refuse(explain(error));
        return used;
    }

    http_method asked_;
    std::unique_ptr<answer> parser_;  // a new one after each interim answer
    std::string lines_;               // of the element that is not complete yet
    std::size_t line_start_ = 0;      // of the line that is not complete yet, in lines_
    std::size_t head_bytes_ = 0;
    std::size_t interim_ = 0;
    std::uint64_t body_bytes_ = 0;
    bool header_done_ = false;
    bool ends_chunk_ = false;  // the next line is the empty one after a chunk's data
    bool broken_ = false;
};

response_parser::response_parser(http_method asked) : engine_(std::make_unique<engine>(asked)) {}
response_parser::response_parser(response_parser&&) noexcept = default;
response_parser& response_parser::operator=(response_parser&&) noexcept = default;
response_parser::~response_parser() = default;

response_parser::piece response_parser::feed(std::string_view bytes) {
    return engine_->feed(bytes);
}
void response_parser::finish() { engine_->finish(); }
bool response_parser::header_done() const noexcept { return engine_->header_done(); }
bool response_parser::done() const noexcept { return engine_->done(); }
std::uint64_t response_parser::body_bytes() const noexcept { return engine_->body_bytes(); }
int response_parser::status() const noexcept { return engine_->head().status; }
std::string_view response_parser::reason() const noexcept { return engine_->head().reason; }

std::optional<std::string_view> response_parser::header(std::string_view name) const noexcept {
    if (const field* found = engine_->head().find(name)) return found->value;
    return std::nullopt;
}

std::optional<std::uint64_t> response_parser::content_length() const noexcept {
    if (engine_->header_done())
        if (const auto length = engine_->head().content_length()) return *length;
    return std::nullopt;
}

bool response_parser::keep_alive() const noexcept {
    // A 204 has no body. If it claims one, the server may yet send it in front of the next answer.
    const bool is_dubious =
        status() == 204 && (header("Transfer-Encoding") || content_length().value_or(0) > 0);
    return engine_->done() && engine_->head().keep_alive() && !is_dubious;
}

void response_parser::raise_for_status() const {
    const bool has_whole_file = status() >= 200 && status() < 300 && status() != 206;
    if (has_whole_file) return;
    std::string text = fmt::format("{} {}", status(), printable(reason(), 80));
    if (status() == 206)
        text += ": only a part of the file, though all of it was requested";
    else if (const auto location = header("Location"); location && status() / 100 == 3)
        text += fmt::format(": redirects are not followed yet, the file is at {}",
                            printable(*location, 500));
    throw http_error(text);
}

}  // namespace downloader
