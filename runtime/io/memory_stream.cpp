// SPDX-License-Identifier: MIT
// A connection in memory: two directions, each a bounded buffer with one reader and one writer.
#include <rondo/memory_stream.hpp>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>

#include <rondo/wait_queue.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

struct direction {
    read_buffer bytes;
    wait_queue reader, writer;
    bool reading = false;
    bool writing = false;
    bool torn = false;     // a write was cancelled in its middle
    bool ended = false;    // the writer has shut down or closed
    bool dropped = false;  // the reader has closed
};

constexpr auto reading_kind = wait_queue::kind("read from memory");
constexpr auto writing_kind = wait_queue::kind("write to memory");

void pass_on_nothing(void*) noexcept {}  // one reader, one writer: no other waiter to wake

/// Marks a direction as taken by one reader, or one writer.
class turn {
public:
    turn(bool& taken, const char* verb, const char* what) : taken_(taken) {
        if (cancel_requested()) throw cancelled();
        if (taken_)
            throw invalid_state_error(std::string(verb) + ": another task is " + what +
                                      " this stream");
        taken_ = true;
    }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() { taken_ = false; }

private:
    bool& taken_;
};

}  // namespace

struct memory_link {
    memory_stream_options options;
    direction to[2];  // the bytes on their way to that side
    bool open[2] = {true, true};

    explicit memory_link(const memory_stream_options& o) noexcept : options(o) {}

    void close(int side) noexcept {
        if (!std::exchange(open[side], false)) return;
        to[1 - side].ended = true;
        to[side].dropped = true;
        for (direction& each : to) {
            each.reader.unpark_all();
            each.writer.unpark_all();
        }
    }
};

namespace {

[[noreturn]] void throw_closed(const char* verb, bool waited) {
    if (waited) throw std::system_error(ECANCELED, std::system_category(), verb);
    throw closed_error(std::string(verb) + ": this stream was closed");
}

task<chunk> read_memory(std::shared_ptr<memory_link> link, int side, buffer_view into) {
    direction& from = link->to[side];
    const turn reading(from.reading, "read", "reading from");
    for (bool waited = false;; waited = true) {
        if (!link->open[side]) throw_closed("read", waited);
        if (!from.bytes.empty() || into.empty()) {
            const auto some = into.first(std::min(into.size(), link->options.chunk_max));
            const chunk got(some.first(from.bytes.take(some)));
            from.writer.unpark_one();
            co_return got;
        }
        if (from.ended) co_return chunk();
        co_await from.reader.park(reading_kind, pass_on_nothing, nullptr);
    }
}

/// Puts in as many bytes as fit. Returns: their number; 0 if the writer has to wait.
std::size_t put(direction& to, const_buffer data, std::size_t capacity) {
    const std::size_t room = capacity - std::min(capacity, to.bytes.size());
    const std::size_t count = std::min(room, data.size());
    if (count == 0) return 0;
    std::copy_n(data.data(), count, to.bytes.room(count).data());
    to.bytes.filled(count);
    to.reader.unpark_one();
    return count;
}

task<> write_memory(std::shared_ptr<memory_link> link, int side, const_buffer data) {
    direction& to = link->to[1 - side];
    const turn writing(to.writing, "write", "writing to");
    if (to.torn)
        throw invalid_state_error(
            "write: an earlier write ended in its middle, so this one would be out of place");
    std::size_t gone = 0;
    try {
        for (bool waited = false;; waited = true) {
            if (!link->open[side]) throw_closed("write", waited);
            if (to.ended || to.dropped)
                throw write_error(std::error_code(EPIPE, std::system_category()), "write", gone,
                                  data.size());
            gone += put(to, data.without_first(gone), link->options.capacity);
            if (gone == data.size()) co_return;
            co_await to.writer.park(writing_kind, pass_on_nothing, nullptr);
        }
    } catch (...) {
        to.torn = gone != 0;
        throw;
    }
}

task<> end_memory(std::shared_ptr<memory_link> link, int side) {
    if (cancel_requested()) throw cancelled();
    if (!link->open[side]) throw_closed("shutdown", false);
    direction& to = link->to[1 - side];
    to.ended = true;
    to.reader.unpark_all();
    to.writer.unpark_all();
    co_return;
}

}  // namespace
}  // namespace detail

std::pair<memory_stream, memory_stream> memory_stream::pair(memory_stream_options options) {
    RONDO_ASSERT(options.capacity != 0 && options.chunk_max != 0,
                 "a memory_stream needs room for at least one byte");
    auto link = std::make_shared<detail::memory_link>(options);
    return {memory_stream(link, 0), memory_stream(link, 1)};
}

memory_stream::~memory_stream() { close(); }

const std::shared_ptr<detail::memory_link>& memory_stream::link() const noexcept {
    RONDO_ASSERT(link_, "this stream is empty: it was moved from");
    return link_;
}
task<chunk> memory_stream::read_some(buffer_view into) {
    return detail::read_memory(link(), side_, into);
}
void memory_stream::unread(const_buffer bytes) { link()->to[side_].bytes.prepend(bytes); }
task<> memory_stream::write_all(const_buffer data) {
    return detail::write_memory(link(), side_, data);
}
task<> memory_stream::shutdown_write() { return detail::end_memory(link(), side_); }
void memory_stream::close() noexcept {
    if (link_) link_->close(side_);
}
bool memory_stream::is_open() const noexcept { return link_ && link_->open[side_]; }

}  // namespace v0
}  // namespace rondo
