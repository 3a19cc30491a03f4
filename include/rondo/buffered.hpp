// SPDX-License-Identifier: MIT
// Lines, separators and exact amounts for any stream: `rondo::buffered lines(std::move(stream));`
//
// rondo's own streams have these reads built in. `buffered` adds them to streams of your own, and
// to streams that wrap another stream. Both use one engine (detail/io/reading_ahead.hpp).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/detail/io/reading_ahead.hpp>
#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// A stream with a buffer for bytes that were received and not yet read. It must not be moved while
/// a task waits on it. The reads behave as those of byte_stream.
/// Thread: its loop's thread.
/// See:    asyncio.StreamReader, Python's io.BufferedReader.
template <input_stream S>
class buffered {
public:
    static constexpr std::size_t line_limit = byte_stream::line_limit;
    static constexpr std::size_t all_limit = byte_stream::all_limit;

    explicit buffered(S stream) : inner_(std::move(stream)) {}

    /// Reads at least one byte; bytes that were received ahead come first.
    task<chunk> read_some(buffer_view into) {
        const source reading(*this, "read_some");
        if (!ahead_.empty()) co_return chunk(into.first(ahead_.take(into)));
        co_return co_await inner_.read_some(into);
    }
    task<std::optional<std::string>> read_line(std::size_t limit = line_limit) {
        return detail::read_line(source(*this), limit);
    }
    task<std::string> read_until(std::string separator, std::size_t limit = line_limit) {
        return detail::read_until(source(*this), std::move(separator), limit);
    }
    task<> read_exactly(buffer_view into) { return detail::read_exactly(source(*this), into); }
    task<std::string> read_exactly(std::size_t size) {
        return detail::read_exactly(source(*this), size);
    }
    task<std::string> read_all(std::size_t limit = all_limit) {
        return detail::read_all(source(*this), limit);
    }
    task<std::string_view> peek(std::size_t least = 1) {
        return detail::peek(source(*this), least);
    }
    void unread(const_buffer bytes) { ahead_.prepend(bytes); }

    // -- passed on to the inner stream ---------------------------------------------------------
    auto write_all(const_buffer data)
        requires output_stream<S>
    {
        return inner_.write_all(data);
    }
    auto shutdown_write()
        requires requires(S& s) { s.shutdown_write(); }
    {
        return inner_.shutdown_write();
    }
    decltype(auto) close()
        requires requires(S& s) { s.close(); }
    {
        return inner_.close();
    }

    /// The inner stream. Bytes that were received ahead are no longer in it.
    S& inner() noexcept { return inner_; }

private:
    /// The engine's access to this object; marks it as being read.
    class source {
    public:
        explicit source(buffered& of) noexcept : of_(&of) {}
        source(buffered& of, const char* verb) : of_(&of) { check(verb); }
        source(source&& other) noexcept
            : of_(other.of_), reading_(std::exchange(other.reading_, false)) {}
        ~source() {
            if (reading_) of_->reading_ = false;
        }

        detail::read_buffer& ahead() const noexcept { return of_->ahead_; }
        void check(const char* verb) {
            if (cancel_requested()) throw cancelled();
            if (of_->reading_)
                throw invalid_state_error(std::string(verb) +
                                          ": another task is reading from this stream");
            reading_ = of_->reading_ = true;
        }
        auto receive(buffer_view into) { return of_->inner_.read_some(into); }
        task<bool> receive_ahead() {
            const chunk came = co_await of_->inner_.read_some(ahead().room(detail::receive_room));
            ahead().filled(came.size());
            co_return static_cast<bool>(came);
        }
        std::string name() const { return {}; }

    private:
        buffered* of_;
        bool reading_ = false;
    };

    S inner_;
    detail::read_buffer ahead_;
    bool reading_ = false;
};

}  // namespace v0
}  // namespace rondo
