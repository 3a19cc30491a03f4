// SPDX-License-Identifier: MIT
// The algorithms of all buffered reads: lines, separators, exact amounts. They may receive more
// bytes than the caller asked for. Each is written once, over a *source*: an object that has a
// read_buffer and can receive. The kernel's streams have a source (stream_reads.cpp);
// `buffered<S>` makes one for any other stream.
//
// Promise of each read: bytes that have arrived stay in the buffer until they are returned whole.
// So a read that is cancelled, or that reaches a limit, loses nothing and can be repeated.
//
// A source has:
//     read_buffer& ahead()            the bytes that were received ahead
//     void check(const char* verb)    throws if this read cannot begin: cancelled, another reader
//     awaitable<chunk> receive(view)  receives some bytes, past the buffer
//     awaitable<bool> receive_ahead() receives some bytes into the buffer; false at the end
//     std::string name()              for errors; may be empty
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/detail/base/read_buffer.hpp>
#include <rondo/error.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

inline constexpr std::size_t receive_room = 4096;  // least number of bytes receive_ahead asks for

inline std::string take_text(read_buffer& ahead, std::size_t size) {
    std::string text(ahead.text().substr(0, size));
    ahead.drop(size);
    return text;
}

/// "read_line 127.0.0.1:7007: a line of more than 5 bytes"
[[noreturn]] RONDO_API void throw_too_much(const char* verb, const std::string& name,
                                           const char* what, std::size_t limit);

template <class Source>
task<std::optional<std::string>> read_line(Source source, std::size_t limit) {
    source.check("read_line");
    read_buffer& ahead = source.ahead();
    for (std::size_t looked = 0;;) {
        const std::string_view text = ahead.text();
        const std::size_t end = text.find('\n', looked);
        const bool whole = end != text.npos;
        const std::size_t size = whole ? end : text.size();
        const bool returns = size != 0 && text[size - 1] == '\r';
        const std::size_t content = size - (returns ? 1 : 0);
        if (content > limit)
            throw_too_much("read_line", source.name(), "a line of more than", limit);
        if (whole) {
            std::string line(text.substr(0, content));
            ahead.drop(end + 1);
            co_return std::optional<std::string>(std::move(line));
        }
        looked = text.size();
        if (co_await source.receive_ahead()) continue;
        if (looked == 0) co_return std::nullopt;
        // A '\r' at the end of the stream belongs to the line.
        if (looked > limit)
            throw_too_much("read_line", source.name(), "a line of more than", limit);
        co_return std::optional<std::string>(take_text(ahead, looked));
    }
}

template <class Source>
task<std::string> read_until(Source source, std::string separator, std::size_t limit) {
    source.check("read_until");
    if (separator.empty()) throw std::invalid_argument("read_until: the separator is empty");
    read_buffer& ahead = source.ahead();
    const std::size_t overlap = separator.size() - 1;  // a beginning of it may have arrived before
    for (std::size_t looked = 0;;) {
        const std::string_view text = ahead.text();
        const std::size_t found = text.find(separator, looked - std::min(looked, overlap));
        const bool whole = found != text.npos;
        const std::size_t least = whole ? found + separator.size() : text.size() + 1;
        if (least > limit && (whole || text.size() >= limit))
            throw_too_much("read_until", source.name(), "no separator in the first", limit);
        if (whole) co_return take_text(ahead, least);
        looked = text.size();
        if (!co_await source.receive_ahead())
            throw incomplete_read_error(take_text(ahead, looked), 0);
    }
}

/// Fills all of `into`.
template <class Source>
task<> read_exactly(Source source, buffer_view into) {
    source.check("read_exactly");
    std::size_t have = source.ahead().take(into);
    try {
        while (have < into.size()) {
            const chunk came = co_await source.receive(into.without_first(have));
            if (!came) throw incomplete_read_error(std::string(into.data(), have), into.size());
            have += came.size();
        }
    } catch (const incomplete_read_error&) {
        throw;  // it carries the bytes
    } catch (...) {
        source.ahead().prepend(into.first(have));
        throw;
    }
}

/// Reads `size` bytes. Memory grows with the bytes that arrive, since `size` may come from a peer.
template <class Source>
task<std::string> read_exactly(Source source, std::size_t size) {
    source.check("read_exactly");
    read_buffer& ahead = source.ahead();
    while (ahead.size() < size) {
        const bool more = co_await source.receive_ahead();
        if (!more) throw incomplete_read_error(take_text(ahead, ahead.size()), size);
    }
    co_return take_text(ahead, size);
}

/// Reads up to the end of the stream.
template <class Source>
task<std::string> read_all(Source source, std::size_t limit) {
    source.check("read_all");
    read_buffer& ahead = source.ahead();  // g++ 12: awaits in a condition only if a variable exists
    for (;;) {
        if (ahead.size() > limit)
            throw_too_much("read_all", source.name(), "a stream of more than", limit);
        if (!co_await source.receive_ahead()) co_return take_text(ahead, ahead.size());
    }
}

/// Waits for at least `least` bytes in the buffer; fewer only at the end of the stream.
template <class Source>
task<std::string_view> peek(Source source, std::size_t least) {
    source.check("peek");
    read_buffer& ahead = source.ahead();
    while (ahead.size() < least)
        if (!co_await source.receive_ahead()) break;
    co_return ahead.text();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
