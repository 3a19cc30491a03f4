// SPDX-License-Identifier: MIT
// Streams on any descriptor: pipes, terminals, and descriptors given by number.
#include <rondo/pipe.hpp>

#include <sys/socket.h>
#include <sys/stat.h>

#include <string>

#include <rondo/detail/loop/descriptor.hpp>

#include "io/stream_turn.hpp"

namespace rondo {
inline namespace v0 {

namespace {

detail::held<> state_of(descriptor fd) {
    unsigned mode = 0;
    if (detail::file_mode(fd, mode) >= 0) detail::note_mode(fd, mode);
    detail::held<> state(new detail::stream_state(std::move(fd)));
    if (S_ISSOCK(mode)) return state;
    state->reads = detail::opcode::read;
    state->writes = detail::opcode::write;
    return state;
}

fd_stream duplicate_of(int number, const char* name) {
    const int fresh = detail::duplicate(number);
    if (fresh < 0) detail::throw_system_error(-fresh, name, "");
    return fd_stream(detail::adopt_or_close(fresh, name));
}

}  // namespace

fd_stream::fd_stream(descriptor fd) : byte_stream(state_of(std::move(fd))) {}

task<> fd_stream::shutdown_write() {
    detail::check_open(*state(), "shutdown");
    if (state()->writes != detail::opcode::send) return detail::as_task(close());
    return detail::as_task(detail::shut_down_write(*state()));
}

int fd_stream::number() const noexcept { return is_open() ? state()->fd.number() : -1; }

pipe_ends make_pipe() {
    int ends[2] = {-1, -1};
    const int result = detail::new_pipe(ends);
    if (result < 0) detail::throw_system_error(-result, "pipe", "");
    auto both = detail::adopt_both(ends, "a pipe");
    return {fd_stream(std::move(both.first)), fd_stream(std::move(both.second))};
}

fd_stream from_fd(int number, std::string_view name) {
    const std::string called =
        name.empty() ? "descriptor " + std::to_string(number) : std::string(name);
    unsigned mode = 0;
    const int result = detail::file_mode(number, mode);
    if (result < 0) detail::throw_system_error(-result, "from_fd", called);
    return fd_stream(descriptor::adopt(number, called));
}

fd_stream standard_input() { return duplicate_of(0, "standard input"); }
fd_stream standard_output() { return duplicate_of(1, "standard output"); }
fd_stream standard_error() { return duplicate_of(2, "standard error"); }

}  // namespace v0
}  // namespace rondo
