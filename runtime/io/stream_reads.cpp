// SPDX-License-Identifier: MIT
// Reads of a line, of an exact amount, of everything. The rest stays for the next read.
#include <rondo/stream.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <rondo/detail/io/reading_ahead.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// A receive that goes past the read buffer into the caller's memory.
class receive_awaitable : only_in_tasks {
public:
    receive_awaitable(const held<>& stream, buffer_view room) noexcept
        : stream_(&stream), room_(room) {}

    class awaiter : public read_awaiter {
    public:
        awaiter(const held<>& stream, buffer_view room) noexcept : read_awaiter(stream, room) {
            bypass_ahead();
        }
    };
    awaiter rondo_awaiter() && noexcept { return {*stream_, room_}; }

protected:
    const held<>* stream_;
    buffer_view room_;
};

class receive_ahead_awaitable : public receive_awaitable {
public:
    using receive_awaitable::receive_awaitable;

    class awaiter : public receive_awaitable::awaiter {
    public:
        awaiter(const held<>& stream, buffer_view room) noexcept
            : receive_awaitable::awaiter(stream, room), ahead_(&stream->ahead) {}
        bool await_resume() {
            const chunk came = receive_awaitable::awaiter::await_resume();
            ahead_->filled(came.size());
            return static_cast<bool>(came);
        }

    private:
        read_buffer* ahead_;
    };
    awaiter rondo_awaiter() && noexcept { return {*stream_, room_}; }
};

/// A stream as a source for the reads of reading_ahead.hpp.
class stream_source {
public:
    explicit stream_source(held<> stream) noexcept : stream_(std::move(stream)) {}

    read_buffer& ahead() const noexcept { return stream_->ahead; }
    void check(const char* verb) const {
        if (cancel_requested()) throw cancelled();
        if (stream_->reading) throw_second_reader(verb, *stream_);
    }
    receive_awaitable receive(buffer_view into) const noexcept { return {stream_, into}; }
    receive_ahead_awaitable receive_ahead() const { return {stream_, ahead().room(receive_room)}; }
    std::string name() const { return stream_->name(); }

private:
    held<> stream_;
};

}  // namespace

task<std::optional<std::string>> read_line(held<> stream, std::size_t limit) {
    return read_line(stream_source(std::move(stream)), limit);
}
task<std::string> read_until(held<> stream, std::string separator, std::size_t limit) {
    return read_until(stream_source(std::move(stream)), std::move(separator), limit);
}
task<> read_exactly(held<> stream, buffer_view into) {
    return read_exactly(stream_source(std::move(stream)), into);
}
task<std::string> read_exactly(held<> stream, std::size_t size) {
    return read_exactly(stream_source(std::move(stream)), size);
}
task<std::string> read_all(held<> stream, std::size_t limit) {
    return read_all(stream_source(std::move(stream)), limit);
}
task<std::string_view> peek(held<> stream, std::size_t least) {
    return peek(stream_source(std::move(stream)), least);
}

void throw_too_much(const char* verb, const std::string& name, const char* what,
                    std::size_t limit) {
    throw limit_error(std::string(verb) + (name.empty() ? "" : " ") + name + ": " + what + ' ' +
                      std::to_string(limit) + " bytes");
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
