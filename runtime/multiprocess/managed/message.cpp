// SPDX-License-Identifier: MIT
// Packs, sends and receives messages of managed objects.
#include "multiprocess/managed/message.hpp"

#include <unistd.h>

#include <cstring>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using size_word = std::uint32_t;

using request_fields = std::tuple<std::uint8_t, std::uint64_t, std::uint64_t, std::string,
                                  std::optional<std::string>, std::string>;
using reply_fields = std::tuple<std::uint8_t, std::uint64_t, std::optional<std::string>,
                                std::vector<std::string>>;

void check_size(std::size_t size) {
    if (size > managed_message_max)
        throw limit_error("manager: a message has " + std::to_string(size) +
                          " bytes, and at most " + std::to_string(managed_message_max) +
                          " are allowed");
}

}  // namespace

std::string managed_request::to_bytes() const {
    return serialize(request_fields(static_cast<std::uint8_t>(what), object, index, key, expected,
                                    value));
}

managed_request managed_request::from_bytes(std::string_view bytes) {
    auto [what, object, index, key, expected, value] = deserialize<request_fields>(bytes);
    if (what > static_cast<std::uint8_t>(managed_op::lock))
        throw format_error("manager: a request is of an unknown kind");
    managed_request request;
    request.what = static_cast<managed_op>(what);
    request.object = object;
    request.index = index;
    request.key = std::move(key);
    request.expected = std::move(expected);
    request.value = std::move(value);
    return request;
}

std::string managed_reply::to_bytes() const {
    return serialize(reply_fields(static_cast<std::uint8_t>(status), answer.number, answer.value,
                                  answer.items));
}

managed_reply managed_reply::from_bytes(std::string_view bytes) {
    auto [status, number, value, items] = deserialize<reply_fields>(bytes);
    managed_reply reply;
    reply.status = static_cast<managed_status>(status);
    reply.answer.number = number;
    reply.answer.value = std::move(value);
    reply.answer.items = std::move(items);
    return reply;
}

task<> send_managed(unix_stream& line, std::string bytes) {
    check_size(bytes.size());
    const auto size = static_cast<size_word>(bytes.size());
    std::string head(reinterpret_cast<const char*>(&size), sizeof size);
    co_await line.write_all(head, bytes);
}

task<std::optional<std::string>> receive_managed(unix_stream& line) {
    const std::string_view seen = co_await line.peek(sizeof(size_word));
    if (seen.size() < sizeof(size_word)) co_return std::nullopt;
    const std::string head = co_await line.read_exactly(sizeof(size_word));
    size_word size = 0;
    std::memcpy(&size, head.data(), sizeof size);
    check_size(size);
    co_return co_await line.read_exactly(std::size_t{size});
}

bool is_own_user(const unix_stream& line) { return line.peer_credentials().uid == ::geteuid(); }

}  // namespace detail
}  // namespace v0
}  // namespace rondo
