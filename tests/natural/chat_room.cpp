// SPDX-License-Identifier: MIT
// A chat server: what one guest says, the others hear.
// Runs on: ring and simulator
//
//     ann hears: bob came in
//     bob hears: ann: good morning
//     ann hears: bob has left
#include <set>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

struct room {
    std::set<rondo::tcp_stream*> guests;

    rondo::task<> tell(rondo::tcp_stream* from, std::string text) {
        for (auto guest : std::set(guests))
            if (guest != from) co_await guest->write_all(text, "\n");
    }

    rondo::task<> serve(rondo::tcp_stream stream) {
        auto name = co_await stream.read_line();
        if (!name) co_return;
        co_await tell(&stream, *name + " came in");
        guests.insert(&stream);
        co_await stream.write_all("welcome\n");
        while (auto line = co_await stream.read_line())
            co_await tell(&stream, *name + ": " + *line);
        guests.erase(&stream);
        co_await tell(&stream, *name + " has left");
    }
};

rondo::task<rondo::tcp_stream> enter(rondo::endpoint server, std::string name) {
    auto stream = co_await rondo::connect_tcp(server);
    co_await stream.write_all(name, "\n");
    co_await stream.read_line();  // welcome
    co_return stream;
}

rondo::task<> guests(rondo::endpoint server) {
    auto ann = co_await enter(server, "ann");
    auto bob = co_await enter(server, "bob");
    fmt::print("ann hears: {}\n", (co_await ann.read_line()).value());
    co_await ann.write_all("good morning\n");
    fmt::print("bob hears: {}\n", (co_await bob.read_line()).value());
    bob.close();
    fmt::print("ann hears: {}\n", (co_await ann.read_line()).value());
}

rondo::task<> program() {
    room chat;
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    auto where = listener.local();
    auto handler = [&](rondo::tcp_stream stream) { return chat.serve(std::move(stream)); };
    co_await rondo::race(rondo::serve(std::move(listener), handler), guests(where));
}

int main() { rondo::run(program()); }
