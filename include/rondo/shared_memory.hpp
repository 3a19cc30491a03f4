// SPDX-License-Identifier: MIT
// Memory that several processes share. It has no name: a process gets it as a descriptor, either
// inherited (command::keep) or through a Unix socket (ipc_channel). Its contents must mean the same
// in every process: no pointers, and only locks of shared_sync.hpp.
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

/// Shared memory, mapped while this object lives. Move-only.
/// Thread: any.
/// See:    memfd_create(2), multiprocessing.shared_memory.
class RONDO_API shared_memory {
public:
    /// An empty object, without memory.
    shared_memory() noexcept = default;
    /// New memory of `bytes` zeros. Its size is sealed, so no process can truncate it while another
    /// one uses it.
    /// Throws: std::system_error.
    explicit shared_memory(std::size_t bytes);
    /// Takes over the descriptor of memory that another process made, and makes it close-on-exec.
    /// Throws: std::system_error; error if the descriptor is another kind of file, or its size is
    ///         not sealed. The descriptor is closed then.
    static shared_memory adopt(descriptor made_elsewhere);
    static shared_memory adopt(int number) {
        return adopt(descriptor::adopt(number, "shared memory"));
    }

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
    /// The requested size in bytes; the kernel maps whole pages.
    std::size_t size() const noexcept { return size_; }
    std::span<std::byte> bytes() const noexcept { return {bytes_, size_}; }
    /// The descriptor's number, for `command::keep` or to be sent through an ipc_channel.
    int number() const noexcept { return memory_.number(); }

    /// A view of `count` objects from byte `offset` on.
    /// Throws: std::out_of_range if they do not fit; std::invalid_argument if `offset` is not
    ///         aligned for T.
    template <class T>
    std::span<T> span(std::size_t offset, std::size_t count) const {
        static_assert(std::is_trivially_copyable_v<T>,
                      "span needs a trivially copyable type; use make and at for locks");
        return {static_cast<T*>(place(offset, sizeof(T), count, alignof(T))), count};
    }
    /// Constructs a T at byte `offset`. Call it once, in the process that made the memory. The
    /// object is never destroyed.
    /// Throws: as span.
    template <class T, class... Args>
    T& make(std::size_t offset, Args&&... args) const {
        void* const at_offset = place(offset, sizeof(T), 1, alignof(T));
        if constexpr (std::is_constructible_v<T, Args&&...>)
            return *::new (at_offset) T(std::forward<Args>(args)...);
        else  // an aggregate, which clang 14 makes by braces only
            return *::new (at_offset) T{std::forward<Args>(args)...};
    }
    /// The T that another process has constructed at byte `offset` by make.
    /// Throws: as span.
    template <class T>
    T& at(std::size_t offset) const {
        return *std::launder(static_cast<T*>(place(offset, sizeof(T), 1, alignof(T))));
    }

private:
    void map();
    void* place(std::size_t offset, std::size_t size, std::size_t count,
                std::size_t alignment) const;

    descriptor memory_;
    std::byte* bytes_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace v0
}  // namespace rondo
