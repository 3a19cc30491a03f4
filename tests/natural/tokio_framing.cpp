// SPDX-License-Identifier: MIT
// Tokio's tutorial, framing: messages with their length in front, over a stream of bytes.
// Runs on: ring and simulator
//
//     5: hello
//     0: 
//     300: xxx...
//     end
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> write_frame(rondo::unix_stream& to, std::string text) {
    std::string head{static_cast<char>(text.size() >> 8), static_cast<char>(text.size() & 255)};
    co_await to.write_all(head, text);
}

rondo::task<std::optional<std::string>> read_frame(rondo::unix_stream& from) {
    auto first = co_await from.peek();
    if (first.empty()) co_return std::nullopt;
    auto head = co_await from.read_exactly(2);
    auto size = std::size_t(std::uint8_t(head[0])) << 8 | std::uint8_t(head[1]);
    co_return co_await from.read_exactly(size);
}

rondo::task<> writer(rondo::unix_stream to) {
    co_await write_frame(to, "hello");
    co_await write_frame(to, "");
    co_await write_frame(to, std::string(300, 'x'));
}

rondo::task<> reader(rondo::unix_stream from) {
    while (auto frame = co_await read_frame(from))
        fmt::print("{}: {}\n", frame->size(), frame->size() > 10 ? "xxx..." : *frame);
    fmt::print("end\n");
}

rondo::task<> program() {
    auto [a, b] = rondo::socket_pair();
    co_await rondo::gather(writer(std::move(a)), reader(std::move(b)));
}

int main() { rondo::run(program()); }
