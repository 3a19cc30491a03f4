// SPDX-License-Identifier: MIT
// Access to the caller's memory: in user space, by memcpy, at the time of completion.
// AddressSanitizer does not see the real kernel write into a freed buffer, but it sees this.
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

/// Converts an address in an entry back to a pointer.
template <class T>
T* sim_pointer(std::uint64_t address) noexcept {
    return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

/// A position in the caller's memory that a transfer entry names: one buffer, an iovec list or a
/// msghdr. It starts after `skipped` bytes.
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
        left_ = std::min<std::size_t>(left_, transfer_max);
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
    static constexpr std::size_t transfer_max = 0x7ffff000;  // bytes of one system call: read(2)

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
    std::size_t at_ = 0;      // index of the piece
    std::size_t within_ = 0;  // offset in the piece
    std::size_t left_ = 0;
};

/// The bytes of one direction of a connection: a bounded ring, owned by the receiving socket. They
/// are written, then sent as far as the receiver's window allows, and then they arrive.
class sim_pipe {
public:
    /// `window` is how many bytes may be sent and not read yet.
    void limit(std::uint32_t capacity, std::uint32_t window) noexcept {
        capacity_ = capacity;
        window_ = window;
    }
    std::uint32_t room() const noexcept { return capacity_ - size_; }
    std::uint32_t arrived() const noexcept { return arrived_; }
    std::uint32_t on_the_way() const noexcept { return size_ - arrived_; }
    std::uint32_t unsent() const noexcept { return size_ - sent_; }
    void arrive(std::uint32_t bytes) noexcept { arrived_ += bytes; }
    /// Sends written bytes, unless the window has less than half of its room: small pieces would be
    /// many. Returns: how many are sent, and have to arrive.
    std::uint32_t send() noexcept {
        const std::uint32_t open = window_ - sent_;
        if (open < std::min(unsent(), window_ / 2)) return 0;
        const std::uint32_t bytes = std::min(unsent(), open);
        sent_ += bytes;
        return bytes;
    }
    /// Forgets the bytes that are not sent yet. Returns: how many they are.
    std::uint32_t drop_unsent() noexcept {
        const std::uint32_t bytes = unsent();
        size_ -= bytes;
        written_ -= bytes;
        return bytes;
    }
    /// Returns: the number of bytes ever written, which is the position of the next one.
    std::uint64_t written() const noexcept { return written_; }
    std::uint64_t taken() const noexcept { return written_ - size_; }

    /// `bytes` is at most room().
    void write(sim_cursor& from, std::uint32_t bytes) {
        if (memory_ == nullptr) memory_ = std::make_unique_for_overwrite<std::byte[]>(capacity_);
        const std::uint32_t start = (first_ + size_) % capacity_;
        const std::uint32_t straight = std::min(bytes, capacity_ - start);
        from.get(memory_.get() + start, straight);
        from.get(memory_.get(), bytes - straight);
        size_ += bytes;
        written_ += bytes;
    }
    /// `bytes` is at most arrived(). With `keep` they stay in the ring (MSG_PEEK).
    void read(sim_cursor& into, std::uint32_t bytes, bool keep) noexcept {
        const std::uint32_t straight = std::min(bytes, capacity_ - first_);
        into.put(memory_.get() + first_, straight);
        into.put(memory_.get(), bytes - straight);
        if (keep) return;
        first_ = (first_ + bytes) % capacity_;
        size_ -= bytes;
        sent_ -= bytes;
        arrived_ -= bytes;
    }
    void clear() noexcept { *this = sim_pipe(); }

private:
    std::unique_ptr<std::byte[]> memory_;
    std::uint64_t written_ = 0;
    std::uint32_t capacity_ = 0;
    std::uint32_t window_ = 0;
    std::uint32_t first_ = 0;
    std::uint32_t size_ = 0;     // bytes in the ring
    std::uint32_t sent_ = 0;     // bytes in transit and arrived
    std::uint32_t arrived_ = 0;  // bytes that can be read
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
