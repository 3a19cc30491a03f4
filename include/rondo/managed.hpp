// SPDX-License-Identifier: MIT
// Values that several processes share, kept by a process of their own, the manager's server:
//
//     rondo::manager shared;
//     rondo::managed_map<std::string, int> counts(shared);
//     auto worker = rondo::start_process(count_words, counts, "some text");
//     ...
//     co_await counts.set("the", 1);
//     if (auto times = co_await counts.get("the")) ...
//     co_await counts.update("the", [](std::optional<int> old) { return old.value_or(0) + 1; });
//
// A managed object is a handle. It can be copied, and sent to other processes of this program, as
// an argument of start_process or of a pool's job, or through an ipc_channel. Keys and values are
// sent as bytes (serialize.hpp). Each operation is one message to the server and one back. Data
// that is used all the time belongs in a shared_memory.
//
// The server handles one request after the other, so each operation is atomic. `update` and
// `compare_exchange` make a change that depends on the old value. A process that is killed
// leaves whole values behind, and the server releases the locks that it held. If the server ends,
// all operations throw broken_manager_error.
//
// The server's socket has a name in a folder that only this user can enter, and either side accepts
// only processes of this user.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/multiprocess/managed_object.hpp>
#include <rondo/serialize.hpp>
#include <rondo/task.hpp>
#include <rondo/unix.hpp>

namespace rondo {
inline namespace v0 {

/// Options of a manager.
struct manager_options {
    /// Most bytes of all objects together; further ones are refused with limit_error. Each item
    /// counts 64 bytes more than it has.
    std::size_t bytes_max = 256 * 1024 * 1024;
};
static_assert(std::is_trivially_destructible_v<manager_options>);

/// Owns the process that keeps managed objects. They are gone with it.
/// Thread: the object may be used by one thread at a time.
/// See:    multiprocessing.Manager.
class RONDO_API manager {
public:
    /// Starts the server.
    /// Throws: as start_process; std::system_error if no socket can be made in $TMPDIR or /tmp.
    explicit manager(manager_options options = {});
    manager(manager&&) noexcept;
    manager& operator=(manager&&) noexcept;
    /// Ends the server, and blocks until it has ended. It ends as well if this process is killed.
    ~manager();

    /// Ends the server, and waits for its end.
    /// Cancel: leaves at once; the server ends all the same.
    task<> close();
    /// False if the server has ended, or was killed.
    bool is_alive();
    /// The process id of the server.
    int pid() const noexcept;

    /// For the constructors of managed objects.
    detail::managed_object new_object();

private:
    struct state;
    detail::handle_pointer<std::unique_ptr<state>> state_;
};

// -- objects --------------------------------------------------------------------------------------
//
// All operations:
// Throws: broken_manager_error if the server has ended; limit_error if the server has no room, or a
//         message has more than 16 MiB; timeout_error if the server does not answer within 10 s;
//         format_error if the object holds another type.
// Cancel: an operation that has been sent is completed: its result is returned, and the next wait
//         throws. So nothing that was taken is lost.

/// A map from K to V. The order of its items is not specified.
/// Thread: any; tasks of any loop.
/// See:    multiprocessing.Manager().dict().
template <serializable K, serializable V>
class managed_map : public detail::managed_object {
public:
    /// A new, empty map. It is kept until the manager ends.
    explicit managed_map(manager& of) : managed_object(of.new_object()) {}
    explicit managed_map(detail::managed_object at) noexcept : managed_object(std::move(at)) {}

    task<std::optional<V>> get(K key) const {
        const auto answer = co_await ask(op::map_get, 0, serialize(key));
        co_return value_of<V>(answer);
    }
    task<> set(K key, V value) const {
        co_await ask(op::map_set, 0, serialize(key), {}, serialize(value));
    }
    /// Stores the value if the key has none. Returns: whether it did.
    task<bool> insert(K key, V value) const {
        const auto answer =
            co_await ask(op::map_set_if, 1, serialize(key), {}, serialize(value));
        co_return answer.number != 0;
    }
    /// Stores `desired` if the key's value is `expected`; compares their bytes. Returns: whether it
    /// did.
    task<bool> compare_exchange(K key, V expected, V desired) const {
        const auto answer = co_await ask(op::map_set_if, 0, serialize(key), serialize(expected),
                                         serialize(desired));
        co_return answer.number != 0;
    }
    /// Stores `fn(old)`, where `old` is a std::optional<V>. If another process changes the value
    /// meanwhile, `fn` is called again. It may capture references, and values that need no
    /// destructor.
    /// Returns: the new value.
    template <class F>
    task<V> update(K key, F fn) const {
        static_assert(detail::updates<F, std::optional<V>, V>);
        const std::string name = serialize(key);
        return detail::update_map<V>(*this, name, std::nullopt, [fn](std::optional<V> old) mutable {
            return V(fn(std::move(old)));
        });
    }
    /// Removes the key. Returns: whether it had a value.
    task<bool> erase(K key) const {
        const auto answer = co_await ask(op::map_erase, 0, serialize(key));
        co_return answer.value.has_value();
    }
    /// Removes the key, and returns its value. See: dict.pop.
    task<std::optional<V>> take(K key) const {
        const auto answer = co_await ask(op::map_erase, 0, serialize(key));
        co_return value_of<V>(answer);
    }
    task<bool> contains(K key) const {
        const auto answer = co_await ask(op::map_get, 0, serialize(key));
        co_return answer.value.has_value();
    }
    task<std::size_t> size() const {
        const auto answer = co_await ask(op::map_size);
        co_return answer.number;
    }
    task<std::vector<K>> keys() const {
        const auto answer = co_await ask(op::map_items);
        std::vector<K> all;
        for (std::size_t i = 0; i + 1 < answer.items.size(); i += 2)
            all.push_back(deserialize<K>(answer.items[i]));
        co_return all;
    }
    task<std::vector<std::pair<K, V>>> items() const {
        const auto answer = co_await ask(op::map_items);
        std::vector<std::pair<K, V>> all;
        for (std::size_t i = 0; i + 1 < answer.items.size(); i += 2)
            all.emplace_back(deserialize<K>(answer.items[i]), deserialize<V>(answer.items[i + 1]));
        co_return all;
    }
    task<> clear() const { co_await ask(op::clear); }
};

/// A list of T.
/// Thread: any; tasks of any loop.
/// See:    multiprocessing.Manager().list().
template <serializable T>
class managed_list : public detail::managed_object {
public:
    /// A new, empty list. It is kept until the manager ends.
    explicit managed_list(manager& of) : managed_object(of.new_object()) {}
    explicit managed_list(detail::managed_object at) noexcept : managed_object(std::move(at)) {}

    task<> push_back(T value) const {
        co_await ask(op::list_insert, at_end, {}, {}, serialize(value));
    }
    /// Inserts before the item at `index`, or at the end. See: list.insert.
    task<> insert(std::size_t index, T value) const {
        co_await ask(op::list_insert, index, {}, {}, serialize(value));
    }
    /// Returns: empty if the list is not so long.
    task<std::optional<T>> get(std::size_t index) const {
        const auto answer = co_await ask(op::list_get, index);
        co_return value_of<T>(answer);
    }
    /// Returns: false if the list is not so long.
    task<bool> set(std::size_t index, T value) const {
        const auto answer = co_await ask(op::list_set_if, index, {}, {}, serialize(value));
        co_return answer.number != 0;
    }
    /// Stores `desired` if the item is `expected`; compares their bytes. Returns: whether it did.
    task<bool> compare_exchange(std::size_t index, T expected, T desired) const {
        const auto answer = co_await ask(op::list_set_if, index, {}, serialize(expected),
                                         serialize(desired));
        co_return answer.number != 0;
    }
    /// Removes an item, and returns it; empty if the list is not so long. See: list.pop.
    task<std::optional<T>> take(std::size_t index) const {
        const auto answer = co_await ask(op::list_erase, index);
        co_return value_of<T>(answer);
    }
    task<std::optional<T>> pop_front() const { return take(0); }
    task<std::optional<T>> pop_back() const { return take(at_end); }
    task<std::size_t> size() const {
        const auto answer = co_await ask(op::list_size);
        co_return answer.number;
    }
    task<std::vector<T>> items() const {
        const auto answer = co_await ask(op::list_items);
        std::vector<T> all;
        for (const std::string& each : answer.items) all.push_back(deserialize<T>(each));
        co_return all;
    }
    task<> clear() const { co_await ask(op::clear); }
};

/// One value of type T.
/// Thread: any; tasks of any loop.
/// See:    multiprocessing.Manager().Value().
template <serializable T>
class managed_value : public detail::managed_object {
public:
    /// A new value. It is kept until the manager ends.
    explicit managed_value(manager& of, const T& initial = T())
        : managed_object(of.new_object()) {
        set_initial(serialize(initial));
    }
    explicit managed_value(detail::managed_object at) noexcept : managed_object(std::move(at)) {}

    task<T> load() const {
        const auto answer = co_await ask(op::map_get);
        co_return deserialize<T>(answer.value ? *answer.value : initial());
    }
    task<> store(T value) const { co_await ask(op::map_set, 0, {}, {}, serialize(value)); }
    /// Stores `desired` if the value is `expected`; compares their bytes. Returns: whether it did.
    task<bool> compare_exchange(T expected, T desired) const {
        const std::string old = serialize(expected);
        const std::uint64_t may_be_missing = old == initial() ? 1 : 0;
        const auto answer =
            co_await ask(op::map_set_if, may_be_missing, {}, old, serialize(desired));
        co_return answer.number != 0;
    }
    /// Stores `fn(old)`. See: managed_map::update.
    /// Returns: the new value.
    template <class F>
    task<T> update(F fn) const {
        static_assert(detail::updates<F, T, T>);
        return detail::update_map<T>(*this, {}, initial(), [fn](std::optional<T> old) mutable {
            return T(fn(std::move(*old)));
        });
    }
    /// Returns: the sum, which is the new value.
    task<T> add(T more) const
        requires std::is_arithmetic_v<T>
    {
        return update([more](T old) { return static_cast<T>(old + more); });
    }
};

/// Holds a managed_mutex while it lives. Move-only.
class RONDO_API managed_lock {
public:
    managed_lock() noexcept = default;
    explicit managed_lock(unix_stream line) noexcept : line_(std::move(line)) {}
    explicit operator bool() const noexcept { return line_.is_open(); }
    /// Releases the mutex early.
    void unlock() noexcept { line_.close(); }

private:
    unix_stream line_;  // the server releases the mutex when this connection ends
};

/// A mutex between processes, for tasks. If a process that holds it ends, the server releases it.
/// Thread: any; tasks of any loop.
/// See:    multiprocessing.Manager().Lock().
class RONDO_API managed_mutex : public detail::managed_object {
public:
    explicit managed_mutex(manager& of) : managed_object(of.new_object()) {}
    explicit managed_mutex(detail::managed_object at) noexcept : managed_object(std::move(at)) {}

    /// Waits until this task has the mutex; first come, first served.
    /// Throws: broken_manager_error, also if the server ends meanwhile.
    /// Cancel: leaves at once, without the mutex.
    task<managed_lock> lock() const;
};

template <class T>
    requires std::derived_from<T, detail::managed_object>
struct serializer<T> {
    static void write(const T& object, std::string& to) {
        serializer<detail::managed_place>::write(object.place(), to);
    }
    static T read(byte_source& from) {
        return T(detail::managed_object(serializer<detail::managed_place>::read(from)));
    }
};

}  // namespace v0
}  // namespace rondo
