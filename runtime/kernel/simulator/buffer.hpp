// SPDX-License-Identifier: MIT
// How the simulator touches the caller's memory: in user space, with memcpy, at the moment of
// completion. The address sanitizer does not see the real kernel write into a freed buffer; it does
// see this.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include <rondo/detail/kernel/entry.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// As a pointer again what an entry carries as a number.
template <class T>
T* sim_pointer(std::uint64_t address) noexcept {
    return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

/// The caller's memory named by a transfer entry, from `skipped` bytes on: one buffer, an iovec
/// list or a msghdr.
class sim_cursor {
public:
    sim_cursor(const entry& what, std::size_t skipped) noexcept {
        switch (what.code) {
            case opcode::readv:
            case opcode::writev:
                list_ = sim_pointer<const iovec>(what.address);
                count_ = what.length;
                break;
            case opcode::sendmsg:
            case opcode::recvmsg: {
                const auto* message = sim_pointer<const msghdr>(what.address);
                list_ = message->msg_iov;
                count_ = message->msg_iovlen;
                break;
            }
            default:
                list_ = nullptr;
                count_ = 1;
                single_ = {sim_pointer<void>(what.address), what.length};
        }
        for (std::size_t at = 0; at < count_; ++at) left_ += piece(at).iov_len;
        left_ = std::min<std::size_t>(left_, most);
        walk(skipped, [](std::byte*, std::size_t) {});
    }

    std::uint32_t left() const noexcept { return static_cast<std::uint32_t>(left_); }
    void put(const void* from, std::size_t size) noexcept {
        const auto* bytes = static_cast<const std::byte*>(from);
        walk(size, [&bytes](std::byte* to, std::size_t part) {
            std::memcpy(to, bytes, part);
            bytes += part;
        });
    }
    void get(void* to, std::size_t size) noexcept {
        auto* bytes = static_cast<std::byte*>(to);
        walk(size, [&bytes](const std::byte* from, std::size_t part) {
            std::memcpy(bytes, from, part);
            bytes += part;
        });
    }

private:
    static constexpr std::size_t most = 0x7ffff000;  // what one system call moves at most (read(2))

    const iovec& piece(std::size_t at) const noexcept {
        return list_ != nullptr ? list_[at] : single_;
    }
    template <class Visit>
    void walk(std::size_t size, Visit visit) noexcept {
        size = std::min(size, left_);
        left_ -= size;
        while (size > 0) {
            const iovec& current = piece(at_);
            const std::size_t part = std::min(size, current.iov_len - within_);
            if (part > 0) visit(static_cast<std::byte*>(current.iov_base) + within_, part);
            size -= part;
            within_ += part;
            if (within_ == current.iov_len) {
                ++at_;
                within_ = 0;
            }
        }
    }

    const iovec* list_;  // null: `single_`
    std::size_t count_;
    iovec single_{};
    std::size_t at_ = 0;      // the piece
    std::size_t within_ = 0;  // bytes of it
    std::size_t left_ = 0;
};

/// The bytes of one direction of a connection, on their way and arrived: a bounded ring, owned by
/// who receives them.
class sim_pipe {
public:
    void limit(std::uint32_t capacity) noexcept { capacity_ = capacity; }
    std::uint32_t room() const noexcept { return capacity_ - size_; }
    std::uint32_t arrived() const noexcept { return arrived_; }
    std::uint32_t on_the_way() const noexcept { return size_ - arrived_; }
    void arrive(std::uint32_t bytes) noexcept { arrived_ += bytes; }
    /// Bytes that were ever put in: the position of the next one.
    std::uint64_t written() const noexcept { return written_; }
    std::uint64_t taken() const noexcept { return written_ - size_; }

    /// At most room() bytes.
    void write(sim_cursor& from, std::uint32_t bytes) {
        if (memory_ == nullptr) memory_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
        const std::uint32_t start = (first_ + size_) % capacity_;
        const std::uint32_t straight = std::min(bytes, capacity_ - start);
        from.get(memory_.get() + start, straight);
        from.get(memory_.get(), bytes - straight);
        size_ += bytes;
        written_ += bytes;
    }
    /// At most arrived() bytes.
    void read(sim_cursor& into, std::uint32_t bytes, bool keep) noexcept {
        const std::uint32_t straight = std::min(bytes, capacity_ - first_);
        into.put(memory_.get() + first_, straight);
        into.put(memory_.get(), bytes - straight);
        if (keep) return;
        first_ = (first_ + bytes) % capacity_;
        size_ -= bytes;
        arrived_ -= bytes;
    }
    void clear() noexcept { *this = sim_pipe(); }

private:
    std::unique_ptr<std::byte[]> memory_;
    std::uint64_t written_ = 0;
    std::uint32_t capacity_ = 0;
    std::uint32_t first_ = 0;
    std::uint32_t size_ = 0;     // bytes held,
    std::uint32_t arrived_ = 0;  // of which so many can be read
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
