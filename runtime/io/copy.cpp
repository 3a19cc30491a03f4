// SPDX-License-Identifier: MIT
// Copying between files and streams, and moving between streams inside the kernel.
#include <rondo/copy.hpp>

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <tuple>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/sleep.hpp>

#include "io/send_uncopied.hpp"
#include "io/stream_turn.hpp"

namespace rondo {
inline namespace v0 {

namespace {

constexpr std::size_t file_buffer = 256 * 1024;
constexpr std::uint32_t pipe_size = 1024 * 1024;  // asked for; the kernel may grant less
constexpr auto splice_kind = detail::operation_kind("splice");

/// The pipe that splice goes through. It outlives its operations, since they end before the frame.
class private_pipe {
public:
    private_pipe() {
        int ends[2] = {-1, -1};
        if (const int result = detail::new_pipe(ends); result < 0)
            detail::throw_system_error(-result, "pipe", "");
        std::tie(reader, writer) = detail::adopt_both(ends, "a pipe");
        detail::set_pipe_size(writer, pipe_size);
    }
    descriptor reader, writer;
};

/// Moves at most `count` bytes from the stream into the pipe, or from the pipe into the stream.
operation<std::size_t> move_some(detail::stream_state& stream, const descriptor& pipe,
                                 bool out_of_stream, std::uint64_t count) {
    detail::request ask;
    ask.code = detail::opcode::splice;
    ask.number = pipe.number();
    ask.ioprio = out_of_stream ? detail::splice_takes : std::uint16_t{0};
    ask.address = ~std::uint64_t{0};  // the source has no offset
    ask.offset = ~std::uint64_t{0};   // the destination has no offset
    ask.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, pipe_size));
    ask.op_flags = SPLICE_F_MOVE;
    stream.name();
    return {splice_kind, stream.fd.record(), ask,
            [](detail::operation_state& done) { return static_cast<std::size_t>(done.result); }};
}

task<std::size_t> take_some(detail::stream_state* from, const private_pipe* pipe,
                            std::uint64_t count) {
    auto taking = move_some(*from, pipe->writer, true, count);
    const result<std::size_t> taken = co_await as_result(std::move(taking));
    const std::int32_t size = from->received(taken ? static_cast<std::int32_t>(*taken)
                                                   : -taken.error().value());
    if (size < 0) detail::throw_system_error(-size, "splice", from->name());
    co_return static_cast<std::size_t>(size);
}

task<> write_to(byte_stream* to, chunk some) { co_await to->write_all(some); }

/// Writes `count` bytes from the pipe; `moved` is the number of bytes that went before them.
task<> drain(detail::stream_state* to, const private_pipe* pipe, std::size_t count,
             std::uint64_t moved) {
    const std::size_t wanted = static_cast<std::size_t>(moved) + count;
    while (count != 0) {
        const result<std::size_t> gone =
            co_await as_result(move_some(*to, pipe->reader, false, count));
        if (!gone || *gone == 0) {
            const auto code = gone ? std::error_code(EPIPE, std::system_category()) : gone.error();
            throw write_error(code, std::string("splice ") + to->name(), wanted - count, wanted);
        }
        count -= *gone;
    }
}

}  // namespace

task<std::uint64_t> splice(byte_stream& from, byte_stream& to, std::uint64_t limit) {
    const detail::held<> source = detail::stream_access::state(from);
    const detail::held<> target = detail::stream_access::state(to);
    if (detail::is_simulated_here())
        detail::throw_system_error(ENOSYS, "splice", target->name());
    {  // fails before any byte is taken from the source
        const auto writing = detail::stream_turn::to_write(*target, "splice");
    }
    std::uint64_t moved = 0;
    // Bytes that were received ahead, or into lent buffers, are in this process: they are copied.
    // So are all, if the kernel of the loop has no splice.
    const bool copies = !detail::knows(detail::opcode::splice);
    while (moved < limit && (copies || !source->ahead.empty() || source->views != nullptr)) {
        std::array<char, 8192> buffer;
        const auto most = std::min<std::uint64_t>(buffer.size(), limit - moved);
        const buffer_view room(buffer.data(), static_cast<std::size_t>(most));
        const chunk some = co_await from.read_some(room);
        if (!some) co_return moved;
        auto writing = shield(write_to(&to, some));
        co_await std::move(writing);
        moved += some.size();
    }
    if (copies) co_return moved;
    const auto reading = detail::stream_turn::to_read(*source, "splice");
    const auto writing = detail::stream_turn::to_write(*target, "splice");
    const private_pipe pipe;
    while (moved < limit) {
        const std::size_t some = co_await take_some(&*source, &pipe, limit - moved);
        if (some == 0) break;
        auto draining = shield(drain(&*target, &pipe, some, moved));
        co_await std::move(draining);
        moved += some;
    }
    co_return moved;
}

task<std::uint64_t> send_file(file& from, byte_stream& to, std::uint64_t offset,
                              std::uint64_t count) {
    std::vector<char> buffer;  // for parts that have to be copied
    std::uint64_t sent = 0;
    while (sent < count) {
        const auto most = std::min<std::uint64_t>(file_buffer, count - sent);
        const auto gone = co_await detail::send_uncopied(from, to, offset + sent,
                                                         static_cast<std::size_t>(most));
        if (gone && *gone == 0) break;
        if (gone) {
            sent += *gone;
            co_await yield_now();  // it may not have waited
            continue;
        }
        buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(file_buffer, count)));
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
        detail::inner_scope shield(detail::inner_scope::kind::shield);  // a file does not block
        co_await to.write_all_at(some, offset + received);
        received += some.size();
    }
    co_return received;
}

}  // namespace v0
}  // namespace rondo
