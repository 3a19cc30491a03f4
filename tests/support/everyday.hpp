// SPDX-License-Identifier: MIT
// A program that does a little of everything: connections, datagrams, files, programs, timers and
// views. For tests of places that deny a part of it to the kernel below.
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include <rondo/command.hpp>
#include <rondo/connect.hpp>
#include <rondo/file.hpp>
#include <rondo/file_system.hpp>
#include <rondo/gather.hpp>
#include <rondo/net.hpp>
#include <rondo/pipe.hpp>
#include <rondo/process.hpp>
#include <rondo/sleep.hpp>
#include <rondo/udp.hpp>
#include <rondo/unix.hpp>

#include "support/file_tools.hpp"

namespace rondo_tests {

inline void must_be(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(what);
}

inline rondo::task<> answer(rondo::tcp_listener* listener) {
    auto peer = co_await listener->accept();
    const auto line = co_await peer.read_line();
    co_await peer.write_all(line.value() + " too\n");
    auto rest = co_await peer.read_view();
    must_be(!rest, "the connection has not ended");
}

inline rondo::task<> ask(rondo::endpoint where) {
    auto peer = co_await rondo::connect_tcp(where);
    co_await peer.write_all("hello\n");
    const auto line = co_await peer.read_line();
    must_be(line.value() == "hello too", "a wrong answer came");
}

inline rondo::task<> use_sockets() {
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    co_await rondo::gather(answer(&listener), ask(listener.local()));
    auto [left, right] = rondo::socket_pair();
    co_await left.write_all("pair\n");
    const auto line = co_await right.read_line();
    must_be(line.value() == "pair", "the pair has lost a line");
    auto socket = rondo::udp_socket::bind({"127.0.0.1", 0});
    co_await socket.send_to("datagram", socket.local());
    std::string datagram(20, '\0');
    const auto got = co_await socket.receive_from(datagram);
    must_be(got.from == socket.local(), "the datagram has another sender");
}

inline rondo::task<> use_files() {
    const folder here;
    const std::string text(100'000, 'x');
    co_await rondo::write_file(here / "one", text);
    co_await rondo::rename_path(here / "one", here / "two");
    co_await rondo::make_directory(here / "inner");
    co_await rondo::make_symbolic_link("two", here / "three");
    co_await rondo::replace_file(here / "two", "short");
    const std::string back = co_await rondo::read_file(here / "three");
    must_be(back == "short", "the file has other bytes");
    auto file = co_await rondo::file::open(here / "two", rondo::open_mode::read_write);
    co_await file.truncate(3);
    co_await file.sync();
    const auto status = co_await rondo::status_of(here / "two");
    must_be(status.size == 3, "the file has another size");
    co_await rondo::remove_file(here / "three");
    co_await rondo::remove_directory(here / "inner");
}

inline rondo::task<> use_programs_and_timers() {
    const auto ended = co_await rondo::command("sh", "-c", "cat; exit 3").input("lines\n").run();
    must_be(ended.output == "lines\n" && ended.exit_code == 3, "the program ended otherwise");
    co_await rondo::sleep(std::chrono::milliseconds(1));
    auto [source, sink] = rondo::make_pipe();
    std::string buffer(10, '\0');
    const auto nothing =
        co_await rondo::move_on_after(std::chrono::milliseconds(1), source.read_some(buffer));
    must_be(!nothing, "an empty pipe was read");
    co_await sink.write_all("x");
}

/// Throws if anything goes wrong.
inline rondo::task<> everyday_program() {
    co_await use_sockets();
    co_await use_files();
    co_await use_programs_and_timers();
}

}  // namespace rondo_tests
