// SPDX-License-Identifier: MIT
// Streams on descriptors that rondo has not made as sockets: the ends of pipes, terminals, devices,
// and any descriptor that a program was given by number.
//
// rondo does not change the open file. Above all O_NONBLOCK belongs to every process that shares
// the file, such as the shell that started this program. An operation that would block is left to
// the kernel's own poll, or to a worker thread of the kernel.
#pragma once

#include <string_view>
#include <utility>

#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// A stream on any descriptor. It uses read(2) and write(2), or recv(2) and send(2) for a socket.
/// Move-only; the destructor closes it. See byte_stream for reading and writing.
/// Thread: its loop's thread.
/// See:    from_fd, make_pipe, standard_input; asyncio loop.connect_read_pipe.
class RONDO_API fd_stream : public byte_stream {
public:
    /// An empty stream, which is not open.
    fd_stream() noexcept = default;
    explicit fd_stream(descriptor fd);

    /// Ends the writing direction: a socket is shut down in that direction, any other descriptor is
    /// closed.
    /// Throws: std::system_error.
    /// See:    shutdown(2), asyncio StreamWriter.write_eof.
    task<> shutdown_write();

    /// The descriptor's number, or -1. For system calls that leave it open.
    int number() const noexcept;
};

/// The two ends of a pipe.
class pipe_ends {
public:
    fd_stream reader;
    fd_stream writer;

    pipe_ends(fd_stream r, fd_stream w) noexcept : reader(std::move(r)), writer(std::move(w)) {}
};

/// Makes a pipe. Writing to a pipe without a reader throws write_error with EPIPE; it never raises
/// SIGPIPE.
/// Throws: std::system_error.
/// See:    pipe(2).
RONDO_API pipe_ends make_pipe();

/// Takes ownership of the descriptor `number`, which is closed with the stream. `name` is used in
/// error messages.
/// Throws: std::system_error if it is not open.
RONDO_API fd_stream from_fd(int number, std::string_view name = {});

/// The standard streams, each on a duplicated descriptor: closing one leaves 0, 1 and 2 open.
/// Throws: std::system_error if it is not open.
/// Cancel: a read from a terminal loses no line: it stays for the next reader.
RONDO_API fd_stream standard_input();
RONDO_API fd_stream standard_output();
RONDO_API fd_stream standard_error();

}  // namespace v0
}  // namespace rondo
