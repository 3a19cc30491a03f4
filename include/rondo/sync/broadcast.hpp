// SPDX-License-Identifier: MIT
// Every subscriber gets every item that is sent while it is subscribed. Sending never waits: there
// is one ring of items for all, each subscriber has its place in it, and one that falls behind by
// more than the ring holds has lost the oldest. It is told so, with their number, by an error, and
// goes on with what is still there (tokio's policy). The choice not taken, a sender that waits for
// the slowest, is one slow reader stopping everybody.
//
// An item stays until the ring comes round to it, not until the last subscriber has read it. The
// ring belongs to the sender and the subscribers together: those who outlive the sender get what
// they have not seen, then the end.
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

/// A subscriber of a broadcast was too slow. It is at the oldest item that is still there.
/// See: tokio::sync::broadcast::error::RecvError::Lagged.
class RONDO_API lagged_error : public error {
public:
    explicit lagged_error(std::uint64_t lost);
    ~lagged_error() override;

    /// How many items it has not seen and will not see.
    std::uint64_t lost() const noexcept { return lost_; }

private:
    std::uint64_t lost_;
};

namespace detail {

/// What sender and subscribers share, whatever the items are.
class RONDO_API broadcast_core {
public:
    explicit broadcast_core(std::size_t limit) noexcept : capacity(limit) {
        RONDO_ASSERT(limit > 0, "a broadcast was made without room for an item");
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

/// A place in the ring.
class RONDO_API broadcast_reader {
public:
    /// How many items it has not seen; more than the capacity where some of them are lost.
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
        RONDO_ASSERT(from_ != nullptr, "a subscriber that was moved from was asked for an item");
    }
    /// Is there an item? Throws lagged_error where the one whose turn it is was lost.
    bool advance();

    std::shared_ptr<broadcast_core> from_;
    std::uint64_t next_;

private:
    friend class broadcast_wait;
    bool waits_ = false;
};

class RONDO_API broadcast_wait : public queue_wait {
public:
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

/// The sending end. Its end closes it. Items are of T, which is copied for each subscriber.
/// Thread: its loop's.
/// See:    tokio::sync::broadcast.
template <class T>
class broadcast {
    using ring = detail::broadcast_ring<T>;

public:
    /// Gets every item from the moment on in which it was made. Move-only; used by one task at a
    /// time.
    class subscriber : public detail::broadcast_reader {
    public:
        using item = std::optional<T>;
        subscriber(subscriber&&) noexcept = default;

        /// `while (auto item = co_await s.next()) use(*item);` waits for the next item; empty after
        /// the last one of a broadcast that was closed.
        /// Throws: lagged_error; what copying a T throws, and then the item is still the next one.
        /// Cancel: leaves; no item is lost.
        detail::waiting_for<detail::broadcast_next<subscriber>, subscriber> next() noexcept {
            this->check_there();
            return detail::waiting_for<detail::broadcast_next<subscriber>, subscriber>(*this);
        }
        /// The next item if it is there already.
        /// Throws: as next.
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

    /// A subscriber may be `capacity` items behind, one at least; that much room is made here.
    explicit broadcast(std::size_t capacity) : ring_(std::make_shared<ring>(capacity)) {}
    broadcast(const broadcast&) = delete;
    broadcast& operator=(const broadcast&) = delete;
    ~broadcast() { close(); }

    /// A subscriber to everything that is sent from now on.
    subscriber subscribe() noexcept { return subscriber(ring_); }

    /// Gives `item` to everybody who is subscribed; returns how many they are. For nobody it is not
    /// kept.
    /// Throws: closed_error, what moving a T throws.
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

    /// There will be no further item; subscribers still get what they have not seen.
    void close() noexcept { ring_->close(); }
    /// Was it closed?
    bool closed() const noexcept { return ring_->closed; }

    /// How many items a subscriber may be behind.
    std::size_t capacity() const noexcept { return ring_->capacity; }
    /// How many are subscribed.
    std::size_t subscribers() const noexcept { return ring_->subscribers; }
    /// How many wait.
    std::size_t waiting() const noexcept { return ring_->line.size(); }
    /// "a broadcast to 3 subscribers and 2 wait".
    std::string describe() const { return "a broadcast " + ring_->state(); }

private:
    std::shared_ptr<ring> ring_;
};

}  // namespace v0
}  // namespace rondo
