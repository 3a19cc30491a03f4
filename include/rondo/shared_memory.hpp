// SPDX-License-Identifier: MIT
// Memory that several processes see. It has no name: a process gets it as a descriptor, inherited (command::keep) or
// through a Unix socket (ipc_channel). What lies in it must mean the same everywhere: no pointers; locks of
// shared_sync.hpp.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {

/// Thread: any. See: memfd_create(2), multiprocessing.shared_memory.
class RONDO_API shared_memory {
public:
    /// None.
    shared_memory() noexcept = default;
    /// New memory, zeros. Its size is sealed: nobody can cut it off under somebody else's hands.
    /// Throws: std::system_error.
    explicit shared_memory(std::size_t bytes);
    /// Takes the descriptor over, as another process made it; it is close-on-exec from now on.
    /// Throws: std::system_error; error where that is no shared_memory: another file, or one whose size is not sealed. The
    ///         descriptor is closed then.
    static shared_memory adopt(descriptor made_elsewhere);
    static shared_memory adopt(int number) { return adopt(descriptor::adopt(number, "shared memory")); }

    shared_memory(shared_memory&& other) noexcept
        : memory_(std::move(other.memory_)),
          bytes_(std::exchange(other.bytes_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    shared_memory& operator=(shared_memory other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(bytes_, other.bytes_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~shared_memory();

    explicit operator bool() const noexcept { return bytes_ != nullptr; }
    /// What was asked for; the system gives whole pages.
    std::size_t size() const noexcept { return size_; }
    std::span<std::byte> bytes() const noexcept { return {bytes_, size_}; }
    /// For `command::keep`, or to be sent.
    int number() const noexcept { return memory_.number(); }

    /// `count` objects from byte `offset` on, as they lie there.
    /// Throws: std::out_of_range where they do not lie inside; std::invalid_argument where `offset` is not aligned for them.
    template <class T>
    std::span<T> span(std::size_t offset, std::size_t count) const {
        static_assert(std::is_trivially_copyable_v<T>,
                      "only values without pointers or destructors can lie in shared memory; use make for locks");
        return {static_cast<T*>(place(offset, sizeof(T), count, alignof(T))), count};
    }
    /// Makes a T there, once, by the process that has made the memory; it is not destroyed.
    template <class T, class... Args>
    T& make(std::size_t offset, Args&&... args) const {
        void* const at_offset = place(offset, sizeof(T), 1, alignof(T));
        if constexpr (std::is_constructible_v<T, Args&&...>)
            return *::new (at_offset) T(std::forward<Args>(args)...);
        else  // an aggregate, which clang 14 makes by braces only
            return *::new (at_offset) T{std::forward<Args>(args)...};
    }
    /// The one that another process has made there.
    template <class T>
    T& at(std::size_t offset) const {
        return *std::launder(static_cast<T*>(place(offset, sizeof(T), 1, alignof(T))));
    }

private:
    void map();
    void* place(std::size_t offset, std::size_t size, std::size_t count, std::size_t alignment) const;

    descriptor memory_;
    std::byte* bytes_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace v0
}  // namespace rondo
