// SPDX-License-Identifier: MIT
// All orders in which a few tasks can use a primitive and be cancelled meanwhile: three tasks with
// three steps each in all orders, four with four in a million random ones. Checked are: mutual
// exclusion, first come first served if promised, no permit, item or wake-up lost, no task left
// waiting without cause.
#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <rondo/queue.hpp>
#include <rondo/sync.hpp>
#include <rondo/task_group.hpp>

#include "support/catch.hpp"
#include "support/core_tools.hpp"
#include "support/explorer.hpp"

namespace {

using namespace rondo_tests;

/// The arrivals in order; the actor served must be the first of those that were not cancelled.
class line_of_tasks {
public:
    void comes(std::size_t who) { line_.push_back(who); }
    void is_served(stage& s, std::size_t who) {
        auto at = line_.begin();
        while (at != line_.end() && *at != who && s.was_cancelled(*at)) ++at;
        s.require(at != line_.end() && *at == who, "somebody was served out of turn");
        std::erase(line_, who);
    }
    void leaves(std::size_t who) { std::erase(line_, who); }

private:
    std::deque<std::size_t> line_;
};

/// While it lives its task is inside; at most `most` may be.
class inside {
public:
    inside(stage& s, int& count, int most) : count_(count) {
        s.require(++count_ <= most, "too many are inside");
    }
    ~inside() { --count_; }

private:
    int& count_;
};

/// Starts `Tasks` bodies; each may be cancelled at any moment.
template <class Scenario>
void start_all(stage& s, Scenario& scenario, std::size_t tasks) {
    for (std::size_t i = 0; i < tasks; ++i) s.actor(scenario.body(s, i));
}

template <class Lock, int Tasks, int Rounds>
struct locks {
    Lock lock;
    line_of_tasks line;
    int count = 0;

    explicit locks(stage& s) { start_all(s, *this, Tasks); }

    task<> body(stage& s, std::size_t me) {
        try {
            for (int i = 0; i < Rounds; ++i) {
                line.comes(me);
                auto held = co_await lock.lock();
                line.is_served(s, me);
                const inside here(s, count, 1);
                if constexpr (std::is_same_v<Lock, recursive_mutex>) {
                    auto again = co_await lock.lock();  // the owner locks it again: never waits
                    s.require(lock.depth() == 2, "a second lock was not counted");
                }
                co_await yield_now();
            }
        } catch (const cancelled&) {
            line.leaves(me);
        }
    }
    void check_step(stage&) {}
    void check_end(stage& s) {
        s.require(s.all_ended(), "somebody waits for a lock for ever");
        s.require(!lock.locked() && lock.waiting() == 0, "the lock is not free at the end");
    }
};

template <int Tasks, int Rounds>
struct readers_and_writers {
    rwlock lock;
    int writers = 0;
    int readers = 0;

    explicit readers_and_writers(stage& s) { start_all(s, *this, Tasks); }

    task<> body(stage& s, std::size_t me) {
        try {
            for (int i = 0; i < Rounds; ++i) {
                if ((me + static_cast<std::size_t>(i)) % 2 == 0) {
                    auto held = co_await lock.lock();
                    const inside here(s, writers, 1);
                    s.require(readers == 0, "a reader is inside with a writer");
                    co_await yield_now();
                } else {
                    auto held = co_await lock.lock_shared();
                    const inside here(s, readers, Tasks);
                    s.require(writers == 0, "a writer is inside with a reader");
                    co_await yield_now();
                }
            }
        } catch (const cancelled&) {
        }
    }
    void check_step(stage&) {}
    void check_end(stage& s) {
        s.require(s.all_ended(), "somebody waits for a read-write lock for ever");
        s.require(!lock.locked() && lock.shared() == 0, "the lock is not free at the end");
    }
};

template <int Tasks, int Rounds>
struct permits {
    static constexpr int most = 2;
    semaphore left{most};
    int count = 0;

    explicit permits(stage& s) { start_all(s, *this, Tasks); }

    // The order is not checked: two may have permits, and the stage may run the later one first.
    task<> body(stage& s, std::size_t me) {
        try {
            for (int i = 0; i < Rounds; ++i) {
                const std::size_t wanted = me == 0 ? 2 : 1;
                auto mine = co_await left.acquire(wanted);
                const inside here(s, count, me == 0 ? 1 : most);
                co_await yield_now();
            }
        } catch (const cancelled&) {
        }
    }
    void check_step(stage& s) { s.require(left.available() <= most, "there are too many permits"); }
    void check_end(stage& s) {
        s.require(s.all_ended(), "somebody waits for a permit for ever");
        s.require(left.available() == most && left.waiting() == 0, "a permit is lost");
    }
};

/// The first actor sets and clears, the others wait.
template <int Tasks, int Rounds>
struct events {
    event bell;
    int rung = 0;

    explicit events(stage& s) { start_all(s, *this, Tasks); }

    task<> body(stage& s, std::size_t me) {
        try {
            if (me == 0) {
                const rondo::detail::inner_scope rest(rondo::detail::inner_scope::kind::shield);
                for (int i = 0; i < Rounds; ++i) {
                    co_await yield_now();
                    ++rung;
                    bell.set();
                    if (i + 1 < Rounds) bell.clear();
                }
                co_return;
            }
            for (int i = 0; i + 1 < Rounds; ++i) {
                const int before = bell.is_set() ? -1 : rung;
                co_await bell.wait();
                s.require(rung > before, "an event came before it was set");
            }
        } catch (const cancelled&) {
        }
    }
    void check_step(stage& s) {
        s.require(!bell.is_set() || bell.waiting() == 0, "somebody waits for an event that is set");
    }
    void check_end(stage& s) {
        const bool never_began = s.was_cancelled(0) && rung == 0;
        s.require(s.all_ended() || never_began, "somebody waits for an event for ever");
    }
};

/// The first actor makes an item for each other actor and notifies once for each.
template <int Tasks, int>
struct conditions {
    mutex lock;
    condition more{lock};
    int items = 0;
    int inside_count = 0;

    explicit conditions(stage& s) { start_all(s, *this, Tasks); }

    task<> body(stage& s, std::size_t me) {
        try {
            if (me == 0) {
                for (int i = 1; i < Tasks; ++i) {
                    auto held = co_await lock.lock();
                    ++items;
                    more.notify();
                    co_await yield_now();
                }
            } else {
                auto held = co_await lock.lock();
                while (items == 0) {
                    try {
                        co_await more.wait(held);
                    } catch (const cancelled&) {
                        s.require(held.owns_lock(), "a cancelled wait left without the mutex");
                        throw;
                    }
                    s.require(held.owns_lock(), "a wait went on without the mutex");
                }
                const inside here(s, inside_count, 1);
                --items;
            }
        } catch (const cancelled&) {
        }
    }
    void check_step(stage&) {}
    void check_end(stage& s) {
        s.require(items == 0 || more.waiting() == 0, "somebody waits although there is an item");
        s.require(!lock.locked(), "the mutex is not free at the end");
    }
};

template <int Tasks, int Rounds>
struct meetings {
    barrier gate{Tasks};
    int began = 0;

    explicit meetings(stage& s) { start_all(s, *this, Tasks); }

    task<> body(stage& s, std::size_t) {
        ++began;
        try {
            for (int i = 0; i < Rounds; ++i) {
                const auto round = gate.generation();
                co_await gate.wait();
                s.require(gate.generation() > round, "the barrier opened before all had come");
            }
        } catch (const cancelled&) {
            gate.abort();
        } catch (const broken_barrier_error&) {
        }
    }
    void check_step(stage& s) {
        s.require(gate.n_waiting() < gate.parties(), "all have come and it does not open");
    }
    void check_end(stage& s) {
        // An actor cancelled before it began is missing at the barrier; one cancelled later breaks
        // it.
        s.require(s.all_ended() || began < Tasks, "somebody waits at a barrier for ever");
    }
};

/// Half of them put, the others take. No item is lost, doubled or taken that was not put.
template <int Tasks, int Rounds>
struct items {
    queue<int> line{1};
    int put = 0;
    int taken = 0;
    int last_of[static_cast<std::size_t>(Tasks)] = {};

    explicit items(stage& s) { start_all(s, *this, Tasks); }

    task<> body(stage& s, std::size_t me) {
        try {
            for (int i = 1; i <= Rounds; ++i) {
                if (me % 2 == 0) {
                    co_await line.put(static_cast<int>(me) * 100 + i);
                    ++put;
                } else {
                    const std::optional<int> item = co_await line.next();
                    ++taken;
                    int& last = last_of[*item / 100];
                    s.require(*item % 100 > last, "an item came twice, or out of order");
                    last = *item % 100;
                }
            }
        } catch (const cancelled&) {
        }
    }
    void check_step(stage&) {}
    void check_end(stage& s) {
        s.require(put == taken + static_cast<int>(line.size()),
                  "an item is lost, or came from nowhere");
        bool putter = false, taker = false;
        for (std::size_t i = 0; i < s.actors(); ++i)
            if (!s.ended(i)) (i % 2 == 0 ? putter : taker) = true;
        s.require(!(taker && !line.empty()), "somebody waits for an item that is there");
        s.require(!(putter && !line.full()), "somebody waits for room that is there");
    }
};

/// A group with two children, one of which may fail; another actor lets them continue.
template <int Tasks, int Rounds>
struct groups {
    event go;
    int running = 0;

    explicit groups(stage& s) { start_all(s, *this, Tasks); }

    task<> child(bool fails) {
        const leaving here(running);
        for (int i = 0; i < Rounds; ++i) co_await yield_now();
        co_await go.wait();
        if (fails) throw std::runtime_error("a child failed");
    }
    task<> in_group(task_group& group) {
        group.start(child(true));
        group.start(child(false));
        co_await go.wait();
    }
    task<> body(stage& s, std::size_t me) {
        if (me != 0) co_return go.set();
        const auto fn = [this](task_group& group) { return in_group(group); };
        bool failed = false;
        try {
            co_await with_task_group(fn);
        } catch (const std::runtime_error&) {
            failed = true;
        } catch (const cancelled&) {
            s.require(s.was_cancelled(me), "a group was cancelled by nobody");
        }
        s.require(running == 0, "a group ended before its children");
        s.require(failed || s.was_cancelled(me), "a child's error is lost");
    }
    void check_step(stage&) {}
    void check_end(stage& s) {
        bool gave_up = false;  // an actor that was cancelled before it began did not set the event
        for (std::size_t i = 1; i < s.actors(); ++i) gave_up = gave_up || s.was_cancelled(i);
        s.require(s.all_ended() || (gave_up && !go.is_set()), "a group does not end");
    }

private:
    struct leaving {
        int& count;
        explicit leaving(int& c) : count(c) { ++count; }
        ~leaving() { --count; }
    };
};

/// A deliberate bug: a lock on a wait queue that does not pass a choice on (law 3).
struct forgetful {
    struct guard {
        forgetful* of;
        explicit guard(forgetful& f) : of(&f) {}
        guard(const guard&) = delete;
        ~guard() { of->unlock(); }
    };
    wait_queue line;
    bool taken = false;
    static constexpr auto kind = wait_queue::kind("a planted bug");

    task<std::unique_ptr<guard>> lock() {
        if (taken) co_await line.park(kind, [](void*) noexcept {}, nullptr);
        taken = true;
        co_return std::make_unique<guard>(*this);
    }
    void unlock() {
        if (!line.unpark_one()) taken = false;
    }
    bool locked() const { return taken; }
    std::size_t waiting() const { return line.size(); }
};

void report(const exploration& done) {
    INFO("after " << done.runs << " runs, choices " << done.path);
    CHECK(done.failure == "");
}

/// All orders of the small stage, at least `least` of them, and many random ones of the large one:
/// a million in the long run; under a sanitizer fewer, since each takes ten times as long.
template <class Small, class Large>
void explore(std::uint64_t least, unsigned cancellations = 2) {
    if (!with_asan() && !with_tsan()) {
        const exploration all = explore_all<Small>(cancellations);
        report(all);
        INFO(all.runs << " orders");
        CHECK(all.runs >= least);
    }
    const int samples = many(long_run() ? 1'000'000 : 250'000, 10'000);
    report(explore_samples<Large>(static_cast<std::uint64_t>(samples), 3, 1));
}

TEST_CASE("interleavings: mutex", "[interleavings]") {
    explore<locks<mutex, 3, 3>, locks<mutex, 4, 4>>(200'000);
}
TEST_CASE("interleavings: recursive_mutex", "[interleavings]") {
    explore<locks<recursive_mutex, 3, 3>, locks<recursive_mutex, 4, 4>>(200'000);
}
TEST_CASE("interleavings: rwlock", "[interleavings]") {
    explore<readers_and_writers<3, 2>, readers_and_writers<4, 4>>(50'000);
}
TEST_CASE("interleavings: semaphore", "[interleavings]") {
    explore<permits<3, 2>, permits<4, 4>>(50'000);
}
TEST_CASE("interleavings: event", "[interleavings]") {
    explore<events<3, 3>, events<4, 4>>(50'000);
}
TEST_CASE("interleavings: condition", "[interleavings]") {
    explore<conditions<3, 3>, conditions<4, 4>>(5'000, 3);
}
TEST_CASE("interleavings: barrier", "[interleavings]") {
    explore<meetings<3, 3>, meetings<4, 4>>(5'000, 3);
}
TEST_CASE("interleavings: queue", "[interleavings]") {
    explore<items<3, 3>, items<4, 4>>(5'000, 3);
}
TEST_CASE("interleavings: task_group", "[interleavings]") {
    explore<groups<3, 2>, groups<4, 4>>(5'000, 1);
}

// -- wait_for: with the clock --------------------------------------------------------------------

enum class came { nothing, value, deadline, outer, inner };

task<came> limited(duration limit, future<int> f) {
    try {
        co_return co_await wait_for(limit, std::move(f)) == 7 ? came::value : came::nothing;
    } catch (const timeout_error&) {
        co_return came::deadline;
    } catch (const future_cancelled&) {
        co_return came::inner;
    }
}

/// Value, deadline, cancellation of the waiter and of the future, at these milliseconds. `order` is
/// the order in which the first three are set up. Returns the outcome.
task<came> one_wait_for(const std::array<int, 4>& at, const std::array<int, 4>& order) {
    promise<int> given;
    const future<int> f = given.get_future();
    future<came> waiting;
    std::vector<call_handle> calls;
    const time_point start = running_loop().time();
    const auto call_at = [&](int which, rondo::detail::function<void()> fn) {
        calls.push_back(running_loop().call_at(
            start + std::chrono::milliseconds(at[static_cast<std::size_t>(which)]), std::move(fn)));
    };
    for (const int which : order) {
        if (which == 0)
            call_at(0, [&] {
                if (!given.done()) given.set_value(7);
            });
        else if (which == 1)
            waiting = create_task(limited(std::chrono::milliseconds(at[1]), f), {.eager = true});
        else if (which == 2)
            call_at(2, [&] {
                if (waiting) waiting.cancel();
            });
        else
            call_at(3, [&] { task_handle(f).cancel(); });
    }
    while (!waiting.done()) co_await sleep(100us);
    for (call_handle& call : calls) call.cancel();
    co_return waiting.cancelled() ? came::outer : waiting.result();
}

RONDO_TEST("interleavings: wait_for, with every order and every tie of its possible ends",
           "[interleavings]", seeds(1).limit(60s)) {
    constexpr std::array<came, 4> meaning{came::value, came::deadline, came::outer, came::inner};
    std::array<int, 4> order{0, 1, 2, 3};
    do {
        for (int code = 0; code < 256; ++code) {
            const std::array<int, 4> at{1 + code % 4, 1 + code / 4 % 4, 1 + code / 16 % 4,
                                        1 + code / 64};
            const int first = *std::min_element(at.begin(), at.end());
            const came seen = co_await one_wait_for(at, order);
            bool expected = false;  // the earliest event; on a tie one of them
            for (std::size_t i = 0; i < 4; ++i)
                expected = expected || (at[i] == first && meaning[i] == seen);
            if (!expected) FAIL("code " << code << " ended with " << static_cast<int>(seen));
            const came again = co_await one_wait_for(at, order);
            if (again != seen) FAIL("code " << code << " ended in two ways");
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("interleavings: a lost wake-up is found", "[interleavings]") {
    const exploration small = explore_all<locks<forgetful, 3, 1>>(1);
    CHECK(small.failure != "");
    const exploration drawn = explore_samples<locks<forgetful, 4, 4>>(10'000, 2, 1);
    CHECK(drawn.failure != "");
}

}  // namespace
