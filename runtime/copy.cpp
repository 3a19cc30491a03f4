// SPDX-License-Identifier: MIT
// Copying between files and streams, and moving between streams inside the kernel.
#include <rondo/copy.hpp>

#include <fcntl.h>

#include <cerrno>
#include <string>

#include <rondo/detail/descriptor.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

namespace {

constexpr std::size_t file_buffer = 256 * 1024;
constexpr std::uint32_t pipe_size = 1024 * 1024;  // asked for; what is granted is used
constexpr auto splice_kind = detail::operation_kind("splice");

/// Marks a direction of a stream as taken while it lives.
class taken {
public:
    taken(bool& mark, detail::stream_state& stream, const char* what) : mark_(mark) {
        if (mark_)
            throw invalid_state_error(std::string("splice ") + stream.name() +
                                      ": another task is " + what + " this stream");
        mark_ = true;
    }
    ~taken() { mark_ = false; }
    taken(const taken&) = delete;
    taken& operator=(const taken&) = delete;

private:
    bool& mark_;
};

/// The private pipe: it outlives every operation on it, since they end before their frame goes.
class private_pipe {
public:
    private_pipe() {
        int ends[2] = {-1, -1};
        if (const int result = detail::new_pipe(ends); result < 0)
            detail::throw_system_error(-result, "pipe", "");
        reader_number = ends[0];
        writer_number = ends[1];
        try {
            reader = descriptor::adopt(ends[0], "a pipe");
        } catch (...) {
            for (const int end : ends) detail::close_unclaimed(end);
            throw;
        }
        writer = detail::adopt_or_close(ends[1], "a pipe");
        detail::set_pipe_size(writer, pipe_size);
    }
    descriptor reader, writer;
    int reader_number = -1;
    int writer_number = -1;
};

/// From the stream into the pipe, or out of the pipe into the stream: at most `count` bytes.
operation<std::size_t> move_some(detail::stream_state& stream, int pipe, bool out_of_stream,
                                 std::uint64_t count) {
    detail::request ask;
    ask.code = detail::opcode::splice;
    ask.number = pipe;
    ask.ioprio = out_of_stream ? detail::splice_takes : std::uint16_t{0};
    ask.address = ~std::uint64_t{0};  // of the source: where it stands
    ask.offset = ~std::uint64_t{0};   // of the destination
    ask.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, pipe_size));
    ask.op_flags = SPLICE_F_MOVE;
    stream.name();
    return {splice_kind, stream.fd.record(), ask, [](detail::operation_state& done) {
                return static_cast<std::size_t>(done.result);
            }};
}

task<> drain(detail::stream_state* to, const private_pipe* pipe, std::size_t count) {
    while (count != 0) {
        const std::size_t gone =
            co_await move_some(*to, pipe->reader_number, false, count);
        if (gone == 0) detail::throw_system_error(EPIPE, "splice", to->name());
        count -= gone;
    }
}

}  // namespace

task<std::uint64_t> splice(byte_stream& from, byte_stream& to, std::uint64_t limit) {
    const detail::held<> source = detail::stream_access::state(from);
    const detail::held<> target = detail::stream_access::state(to);
    if (cancel_requested()) throw cancelled();
    std::uint64_t moved = 0;
    // What has come already, ahead or into lent buffers, is in this process: it is copied.
    while (moved < limit && (!source->ahead.empty() || source->views != nullptr)) {
        if (source->ahead.empty() && source->views != nullptr) {
            copy_options rest;
            rest.limit = limit - moved;
            co_return moved + co_await copy(from, to, rest);
        }
        std::array<char, 4096> buffer;
        const auto most = std::min<std::uint64_t>(buffer.size(), limit - moved);
        const buffer_view room(buffer.data(), static_cast<std::size_t>(most));
        const chunk some = co_await from.read_some(room);
        co_await to.write_all(some);
        moved += some.size();
    }
    const taken reading(source->reading, *source, "reading from");
    const taken writing(target->writing, *target, "writing to");
    const private_pipe pipe;
    while (moved < limit) {
        const std::size_t some =
            co_await move_some(*source, pipe.writer_number, true, limit - moved);
        if (some == 0) break;
        auto draining = shield(drain(&*target, &pipe, some));
        co_await std::move(draining);
        moved += some;
    }
    co_return moved;
}

task<std::uint64_t> send_file(file& from, byte_stream& to, std::uint64_t offset,
                              std::uint64_t count) {
    std::vector<char> buffer(file_buffer);
    std::uint64_t sent = 0;
    while (sent < count) {
        const auto most = std::min<std::uint64_t>(buffer.size(), count - sent);
        const buffer_view room(buffer.data(), static_cast<std::size_t>(most));
        const chunk some = co_await from.read_at(room, offset + sent);
        if (!some) break;
        co_await to.write_all(some);
        sent += some.size();
    }
    co_return sent;
}

task<std::uint64_t> receive_file(byte_stream& from, file& to, std::uint64_t offset,
                                 std::uint64_t count) {
    std::vector<char> buffer(file_buffer);
    std::uint64_t received = 0;
    while (received < count) {
        const auto most = std::min<std::uint64_t>(buffer.size(), count - received);
        const buffer_view room(buffer.data(), static_cast<std::size_t>(most));
        const chunk some = co_await from.read_some(room);
        if (!some) break;
        co_await to.write_all_at(some, offset + received);
        received += some.size();
    }
    co_return received;
}

}  // namespace v0
}  // namespace rondo
