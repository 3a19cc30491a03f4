// SPDX-License-Identifier: MIT
// The untyped part of managed objects: where one is kept, and the one kind of message to the server
// and back.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/serialize.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// The server of a manager has ended, so its objects are gone.
class RONDO_API broken_manager_error : public error {
public:
    using error::error;
    ~broken_manager_error() override;
};

namespace detail {

/// A server's socket, the object's number, and the value that the object has until it is stored.
using managed_place = std::tuple<std::string, std::uint64_t, std::string>;

enum class managed_op : std::uint8_t {
    map_get, map_set, map_set_if, map_erase, map_size, map_items,
    list_get, list_set_if, list_insert, list_erase, list_size, list_items,
    clear, lock
};

enum class managed_status : std::uint8_t { done, no_room, refused };

/// The answer of the server.
struct managed_answer {
    std::uint64_t number = 0;  // a size; or whether a value was stored
    std::optional<std::string> value;
    std::vector<std::string> items;  // of a map: a key, its value, and so on

    managed_answer() = default;
};

class RONDO_API managed_object {
public:
    explicit managed_object(managed_place place) noexcept : place_(std::move(place)) {}
    const managed_place& place() const noexcept { return place_; }

    using op = managed_op;
    static constexpr std::uint64_t at_end = std::numeric_limits<std::uint64_t>::max();

    /// Sends one request, and returns the answer. `index` of map_set_if: whether a missing value
    /// counts as the expected one. Without `expected`, list_set_if stores in any case.
    task<managed_answer> ask(op what, std::uint64_t index = 0, std::string key = {},
                             std::optional<std::string> expected = {},
                             std::string value = {}) const;

protected:
    template <class V>
    static std::optional<V> value_of(const managed_answer& answer) {
        if (!answer.value) return std::nullopt;
        return deserialize<V>(*answer.value);
    }
    const std::string& initial() const noexcept { return std::get<2>(place_); }
    void set_initial(std::string bytes) noexcept { std::get<2>(place_) = std::move(bytes); }

private:
    managed_place place_;
};

template <class F, class Old, class New>
constexpr bool check_update() {
    static_assert(std::is_invocable_r_v<New, F&, Old>,
                  "the function of update takes the old value (of a map: a std::optional of it), "
                  "and returns the new one");
    static_assert(std::is_trivially_destructible_v<F>,
                  "the function of update captures references ([&]), or values that need no "
                  "destructor: g++ 12 would destroy others twice");
    return true;
}
template <class F, class Old, class New>
inline constexpr bool updates = check_update<F, Old, New>();

/// Stores `fn(old)` under the key, and tries again if another process was faster.
template <class V, class F>
task<V> update_map(managed_object object, std::string key, std::optional<std::string> initial,
                   F fn) {
    for (;;) {
        const auto read = co_await object.ask(managed_op::map_get, 0, key);
        const std::optional<std::string>& bytes = read.value ? read.value : initial;
        std::optional<V> old;
        if (bytes) old.emplace(deserialize<V>(*bytes));
        V fresh = fn(std::move(old));
        const std::uint64_t may_be_missing = read.value ? 0 : 1;
        const auto answer = co_await object.ask(managed_op::map_set_if, may_be_missing, key,
                                                read.value, serialize(fresh));
        if (answer.number != 0) co_return fresh;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
