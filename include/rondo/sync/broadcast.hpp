// SPDX-License-Identifier: MIT
// Every subscriber gets every item that is sent while it is subscribed. Sending never waits. All
// items are in one ring, and each subscriber has a position in it. A subscriber that falls behind
// by more than the capacity loses the oldest items. It then gets an error with the number of lost
// items, and continues with the oldest item that is left (tokio's policy). The alternative, a
// sender that waits for the slowest subscriber, would let one slow reader stop everyone.
//
// An item stays until the ring overwrites it, even if every subscriber has read it. The sender and
// the subscribers share the ring: a subscriber that outlives the sender still gets the items that
// it has not read, then the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rondo/sync/guard.hpp>

namespace rondo {
inline namespace v0 {

/// A subscriber was too slow and has lost items. Its next read gives the oldest item that is still
/// there.
/// See: tokio::sync::broadcast::error::RecvError::Lagged.
class RONDO_API lagged_error : public error {
public:
    explicit lagged_error(std::uint64_t lost);
    ~lagged_error() override;

    /// The number of items that this subscriber has lost.
    std::uint64_t lost() const noexcept { return lost_; }

private:
    std::uint64_t lost_;
};

namespace detail {

/// The state that sender and subscribers share, independent of the item type.
class RONDO_API broadcast_core {
public:
    explicit broadcast_core(std::size_t limit) noexcept : capacity(limit) {
        RONDO_ASSERT(limit > 0, "a broadcast needs a capacity of at least one item");
        RONDO_ASSERT(is_count(limit), "a broadcast was given a negative capacity");
    }
    void close() noexcept {
        closed = true;
        line.unpark_all();
    }
    void check_open() const;
    std::string state() const;

    const std::size_t capacity;
    std::size_t subscribers = 0;
    std::uint64_t sent = 0;
    bool closed = false;
    wait_queue line;
};

template <class T>
class broadcast_ring : public broadcast_core {
public:
    explicit broadcast_ring(std::size_t limit) : broadcast_core(limit) { items.reserve(limit); }
    std::vector<T> items;
};

/// A subscriber's position in the ring.
class RONDO_API broadcast_reader {
public:
    /// The number of items that it has not read; more than the capacity if some of them are lost.
    std::uint64_t behind() const noexcept { return from_->sent - next_; }

protected:
    explicit broadcast_reader(std::shared_ptr<broadcast_core> from) noexcept
        : from_(std::move(from)), next_(from_->sent) {
        ++from_->subscribers;
    }
    broadcast_reader(broadcast_reader&& other) noexcept
        : from_(std::move(other.from_)), next_(other.next_) {
        RONDO_ASSERT(!other.waits_, "a subscriber was moved while a task waits for its next item");
    }
    ~broadcast_reader() {
        if (from_ != nullptr) --from_->subscribers;
    }
    void check_there() const noexcept {
        RONDO_ASSERT(from_ != nullptr, "a moved-from subscriber was asked for an item");
    }
    /// True if there is an item to read. Throws lagged_error if the next one has been overwritten.
    bool advance();

    std::shared_ptr<broadcast_core> from_;
    std::uint64_t next_;

private:
    friend class broadcast_wait;
    bool waits_ = false;
};

class RONDO_API broadcast_wait : public queue_wait {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit broadcast_wait(broadcast_reader& r) noexcept;
    ~broadcast_wait() { reader_->waits_ = false; }
    bool await_ready() noexcept;

private:
    static const wait_kind kind_;
    static const char* object(const leaf_wait& wait);
    broadcast_reader* reader_;
};

template <class Subscriber>
class broadcast_next : public broadcast_wait {
public:
    explicit broadcast_next(Subscriber& s) noexcept : broadcast_wait(s), subscriber_(&s) {}
    typename Subscriber::item await_resume() {
        finish([] {});
        return subscriber_->take();
    }

private:
    Subscriber* subscriber_;
};

}  // namespace detail

/// The sending end; its destructor closes the broadcast. Each subscriber gets a copy of each item.
/// Thread: its loop's.
/// See:    tokio::sync::broadcast.
template <class T>
class broadcast {
    using ring = detail::broadcast_ring<T>;

public:
    /// Receives every item that is sent after it was made. Move-only; used by one task at a time.
    class subscriber : public detail::broadcast_reader {
    public:
        using item = std::optional<T>;
        subscriber(subscriber&&) noexcept = default;

        /// `while (auto item = co_await s.next()) use(*item);` waits for the next item. Empty after
        /// the last item of a closed broadcast.
        /// Throws: lagged_error; the exception of T's copy constructor, after which the item is
        ///         still the next one.
        /// Cancel: leaves; no item is lost.
        detail::waiting_for<detail::broadcast_next<subscriber>, subscriber> next() noexcept {
            this->check_there();
            return detail::waiting_for<detail::broadcast_next<subscriber>, subscriber>(*this);
        }
        /// The next item, or empty if there is none yet. Does not wait.
        /// Throws: the same as `next`.
        item try_next() {
            this->check_there();
            return take();
        }

    private:
        friend class broadcast;
        friend class detail::broadcast_next<subscriber>;
        explicit subscriber(std::shared_ptr<ring> from) noexcept
            : broadcast_reader(std::move(from)) {}

        item take() {
            if (!this->advance()) return std::nullopt;
            const auto& from = static_cast<const ring&>(*this->from_);
            item copy(from.items[this->next_ % from.capacity]);
            ++this->next_;
            return copy;
        }
    };

    /// Subscribers may be up to `capacity` items behind, at least one. The constructor allocates
    /// room for that many.
    explicit broadcast(std::size_t capacity) : ring_(std::make_shared<ring>(capacity)) {}
    broadcast(const broadcast&) = delete;
    broadcast& operator=(const broadcast&) = delete;
    ~broadcast() { close(); }

    /// A subscriber that receives every item sent from now on.
    subscriber subscribe() noexcept { return subscriber(ring_); }

    /// Sends `item` to all subscribers and returns their number. If there are none, the item is
    /// dropped.
    /// Throws: closed_error; the exception of moving a T.
    std::size_t send(T item) {
        ring_->check_open();
        if (subscribers() == 0) return 0;
        if (ring_->items.size() < capacity())
            ring_->items.push_back(std::move(item));
        else
            ring_->items[ring_->sent % capacity()] = std::move(item);
        ++ring_->sent;
        ring_->line.unpark_all();
        return subscribers();
    }

    /// Ends the broadcast. Subscribers still get the items that they have not read.
    void close() noexcept { ring_->close(); }
    bool closed() const noexcept { return ring_->closed; }

    /// The number of items that a subscriber may be behind.
    std::size_t capacity() const noexcept { return ring_->capacity; }
    /// The number of subscribers.
    std::size_t subscribers() const noexcept { return ring_->subscribers; }
    /// The number of subscribers that wait.
    std::size_t waiting() const noexcept { return ring_->line.size(); }
    /// A text for diagnostics: "a broadcast to 3 subscribers and 2 wait".
    std::string describe() const { return "a broadcast " + ring_->state(); }

private:
    std::shared_ptr<ring> ring_;
};

}  // namespace v0
}  // namespace rondo
