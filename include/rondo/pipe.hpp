// SPDX-License-Identifier: MIT
// Streams on descriptors that are no sockets of ours: the ends of pipes, terminals, devices, and
// whatever else a program has been given by number.
//
// Nothing about the open file is changed. O_NONBLOCK above all belongs to everybody who shares it:
// to the shell that started us, say. What would block goes to the kernel's own waiting, or to a
// worker of its own.
#pragma once

#include <string_view>
#include <utility>

#include <rondo/stream.hpp>

namespace rondo {
inline namespace v0 {

/// A stream on any descriptor: read(2) and write(2), or recv(2) and send(2) where it is a socket.
/// Move-only; the destructor closes it. See byte_stream for reading and writing.
/// Thread: its loop's.
/// See:    from_fd, make_pipe, standard_input; asyncio loop.connect_read_pipe.
class RONDO_API fd_stream : public byte_stream {
public:
    /// Not open.
    fd_stream() noexcept = default;
    explicit fd_stream(descriptor fd);

    /// Says that nothing more will be written: a socket is shut down in that direction, everything
    /// else is closed.
    /// Throws: std::system_error.
    /// See:    asyncio StreamWriter.write_eof.
    task<> shutdown_write();

    /// The number, or -1: for calls that leave it open.
    int number() const noexcept;
};

/// The two ends of a pipe.
class pipe_ends {
public:
    fd_stream reader;
    fd_stream writer;

    pipe_ends(fd_stream r, fd_stream w) noexcept : reader(std::move(r)), writer(std::move(w)) {}
};

/// A pipe. Writing to one that nobody reads is EPIPE, never a signal.
/// Throws: std::system_error.
/// See:    pipe(2).
RONDO_API pipe_ends make_pipe();

/// Takes `number` over: it is closed with the stream. `name` is for errors.
/// Throws: std::system_error where it is not open.
RONDO_API fd_stream from_fd(int number, std::string_view name = {});

/// The standard streams, each on a number of its own: closing one leaves 0, 1 and 2 open.
/// Throws: std::system_error where it is not open.
/// Cancel: of a read from a terminal: no line is lost, it stays for the next who reads.
RONDO_API fd_stream standard_input();
RONDO_API fd_stream standard_output();
RONDO_API fd_stream standard_error();

}  // namespace v0
}  // namespace rondo
