// SPDX-License-Identifier: MIT
// Tokio's tutorial: a server that knows SET and GET, a client that shares one connection.
// Runs on: ring and simulator
//
//     SET hello world -> OK
//     GET hello -> world
//     GET goodbye -> (nil)
//     DROP everything -> error: unknown command
#include <map>
#include <sstream>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using database = std::map<std::string, std::string>;

std::string execute(database& db, const std::string& line) {
    std::istringstream words(line);
    std::string command, key, value;
    words >> command >> key >> value;
    if (command == "SET") {
        db[key] = value;
        return "OK";
    }
    if (command == "GET") {
        auto found = db.find(key);
        return found == db.end() ? "(nil)" : found->second;
    }
    return "error: unknown command";
}

rondo::task<> process(rondo::tcp_stream socket, database& db) {
    while (auto line = co_await socket.read_line())
        co_await socket.write_all(execute(db, *line), "\n");
}

rondo::task<> client(rondo::endpoint server) {
    auto socket = co_await rondo::connect_tcp(server);
    for (std::string command : {"SET hello world", "GET hello", "GET goodbye", "DROP everything"}) {
        co_await socket.write_all(command, "\n");
        fmt::print("{} -> {}\n", command, (co_await socket.read_line()).value());
    }
}

rondo::task<> program() {
    database db;
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    auto address = listener.local();
    auto handle = [&](rondo::tcp_stream socket) { return process(std::move(socket), db); };
    co_await rondo::race(rondo::serve(std::move(listener), handle), client(address));
}

int main() { rondo::run(program()); }
