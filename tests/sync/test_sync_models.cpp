// SPDX-License-Identifier: MIT
// Semaphore, barrier and condition against models: the simplest implementations, with the whole
// state in view. A driver calls something at random and compares after every step. The randomness
// is the simulator's, so RONDO_SEED repeats a failure.
//
// A model has the loop's ready queue, too: tasks that became ready before the driver yields run
// before the driver resumes, in that order.
#include <algorithm>
#include <deque>
#include <vector>

#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

std::size_t die(std::size_t sides) {
    return static_cast<std::size_t>(rondo::detail::random(rondo::detail::running())) % sides;
}

/// The ready queue; `run(user)` is the model's.
template <class Model>
struct model {
    std::deque<std::size_t> ready;

    void turn() {
        for (std::size_t n = ready.size(); n > 0; --n) {
            const std::size_t user = ready.front();
            ready.pop_front();
            static_cast<Model*>(this)->run(user);
        }
    }
};

// -- semaphore ------------------------------------------------------------------------------------

struct semaphore_model : model<semaphore_model> {
    enum class state { created, waiting, given, holding, gone };
    struct user {
        std::size_t count;
        state is = state::created;
        bool cancelled = false;
    };
    std::size_t available = 0;
    std::deque<user> users;
    std::deque<std::size_t> line;

    void serve() {
        while (!line.empty() && users[line.front()].count <= available) {
            user& first = users[line.front()];
            available -= first.count;
            first.is = state::given;
            ready.push_back(line.front());
            line.pop_front();
        }
    }
    void give_back(std::size_t count) {
        available += count;
        serve();
    }
    void create(std::size_t count) {
        ready.push_back(users.size());
        users.push_back({count});
    }
    void cancel(std::size_t index) {
        user& u = users[index];
        if (u.is == state::waiting) {
            u.is = state::gone;
            line.erase(std::find(line.begin(), line.end(), index));
            serve();
        }
        u.cancelled = true;
    }
    void release(std::size_t index) {
        users[index].is = state::gone;
        give_back(users[index].count);
    }
    void run(std::size_t index) {
        user& u = users[index];
        if (u.is == state::gone) return;
        if (u.cancelled) {
            const bool given = u.is == state::given;
            u.is = state::gone;
            if (given) give_back(u.count);
        } else if (u.is == state::given) {
            u.is = state::holding;
        } else if (line.empty() && u.count <= available) {
            available -= u.count;
            u.is = state::holding;
        } else {
            u.is = state::waiting;
            line.push_back(index);
        }
    }
};

RONDO_TEST("semaphore: does what a model of it does", "[sync][models]", seeds(40).limit(60s)) {
    const auto keep = [](semaphore* s, std::size_t count, permit* into) -> task<> {
        *into = co_await s->acquire(count);
    };
    semaphore s(3);
    semaphore_model expected;
    expected.available = 3;
    std::deque<permit> permits;
    std::vector<future<>> users;
    for (int step = 0; step < 400; ++step) {
        const std::size_t what = die(10), who = users.empty() ? 0 : die(users.size());
        if (what < 3) {
            const std::size_t count = die(4);
            permits.emplace_back();
            users.push_back(create_task(keep(&s, count, &permits.back())));
            expected.create(count);
        } else if (what < 5 && !users.empty()) {
            const std::size_t recent =
                users.size() - 1 - who % std::min<std::size_t>(users.size(), 8);
            users[recent].cancel();
            expected.cancel(recent);
        } else if (what < 8 && !users.empty() && permits[who]) {
            permits[who].release();
            expected.release(who);
        } else if (what == 8 && expected.available + 1 < 6) {
            s.release();
            expected.give_back(1);
        } else {
            co_await yield_now();
            expected.turn();
        }
        bool same = s.available() == expected.available && s.waiting() == expected.line.size();
        for (std::size_t i = 0; i < users.size(); ++i)
            same &= bool(permits[i]) == (expected.users[i].is == semaphore_model::state::holding);
        INFO("step " << step << ", action " << what);
        if (!same) REQUIRE(same);
    }
    for (auto& each : users) each.cancel();
    co_await finish();
}

// -- barrier --------------------------------------------------------------------------------------

/// The arrivals, and the result of each wait.
struct barrier_model : model<barrier_model> {
    struct user {
        int told = still_there;  // as the barrier knows it ...
        int seen = still_there;  // ... and as the waiter knows it
        bool created = true, cancelled = false, ended = false;
    };
    std::size_t parties = 0;
    bool broken = false;
    std::uint64_t generation = 0;
    std::deque<user> users;
    std::deque<std::size_t> line;

    void tell(std::size_t index, int what) {
        users[index].told = what;
        ready.push_back(index);
    }
    void send_away() {
        for (std::size_t index : line) tell(index, was_broken);
        line.clear();
    }
    void cancel(std::size_t index) {
        const auto at = std::find(line.begin(), line.end(), index);
        users[index].cancelled = true;
        if (at == line.end()) return;
        line.erase(at);
        tell(index, was_cancelled);
    }
    void arrive(std::size_t index) {
        user& u = users[index];
        u.created = false;
        if (broken) {
            u.told = was_broken;
        } else if (line.size() + 1 < parties) {
            line.push_back(index);
        } else {
            int place = 0;
            for (std::size_t each : line) tell(each, place++);
            line.clear();
            u.told = place;
            ++generation;
        }
    }
    void run(std::size_t index) {
        user& u = users[index];
        if (u.created && u.cancelled) {
            u.ended = true;  // its body never runs: it sees nothing
            return;
        }
        if (u.created) arrive(index);
        if (u.told == still_there) return;
        u.seen = u.cancelled ? was_cancelled : u.told;
        u.ended = true;
    }
};

RONDO_TEST("barrier: does what a model of it does", "[sync][barrier]", seeds(40).limit(60s)) {
    barrier b(1 + die(4));
    barrier_model expected;
    expected.parties = b.parties();
    std::deque<int> seen;
    std::vector<future<>> users;
    for (int step = 0; step < 400; ++step) {
        const std::size_t what = die(20);
        if (what < 8) {
            seen.push_back(still_there);
            users.push_back(create_task(meet(&b, &seen.back())));
            expected.ready.push_back(expected.users.size());
            expected.users.emplace_back();
        } else if (what < 11 && !users.empty()) {
            const std::size_t who = users.size() - 1 - die(std::min<std::size_t>(users.size(), 6));
            users[who].cancel();
            expected.cancel(who);
        } else if (what == 11) {
            b.abort();
            expected.broken = true;
            expected.send_away();
        } else if (what < 14) {
            b.reset();
            expected.broken = false;
            expected.send_away();
        } else {
            co_await yield_now();
            expected.turn();
        }
        bool same = b.n_waiting() == expected.line.size() && b.broken() == expected.broken &&
                    b.generation() == expected.generation;
        for (std::size_t i = 0; i < users.size(); ++i)
            same &= seen[i] == expected.users[i].seen && users[i].done() == expected.users[i].ended;
        INFO("step " << step << ", action " << what);
        if (!same) REQUIRE(same);
    }
    b.abort();
    co_await finish();
}

// -- condition ------------------------------------------------------------------------------------

struct meeting {
    mutex m;
    condition c{m};
};

/// Mutex and condition. Each user locks, waits once, and keeps the mutex until the driver tells it
/// to unlock.
struct condition_model : model<condition_model> {
    enum class state { created, wants, has, waits, wants_again, has_again, keeps, gone };
    static constexpr std::size_t nobody = SIZE_MAX, driver = SIZE_MAX - 1;
    struct user {
        state is = state::created;
        bool cancelled = false, notified = false;
    };
    std::size_t holder = nobody;
    std::deque<user> users;
    std::deque<std::size_t> mutex_line, line;

    void give(std::size_t index) {
        user& u = users[index];
        holder = index;
        u.is = u.is == state::wants ? state::has : state::has_again;
        ready.push_back(index);
    }
    void unlock() {
        holder = nobody;
        if (mutex_line.empty()) return;
        const std::size_t next = mutex_line.front();
        mutex_line.pop_front();
        give(next);
    }
    void ask(std::size_t index, state wish) {
        users[index].is = wish;
        if (holder == nobody)
            give(index);
        else
            mutex_line.push_back(index);
    }
    std::size_t notify(std::size_t count) {
        std::size_t notified = 0;
        for (; notified < count && !line.empty(); ++notified) {
            const std::size_t index = line.front();
            line.pop_front();
            users[index].notified = true;
            ask(index, state::wants_again);
        }
        return notified;
    }
    static void erase(std::deque<std::size_t>& from, std::size_t index) {
        from.erase(std::find(from.begin(), from.end(), index));
    }
    void cancel(std::size_t index) {
        user& u = users[index];
        if (u.is == state::keeps || u.is == state::gone) return;
        u.cancelled = true;
        if (u.is == state::wants) {
            erase(mutex_line, index);
            u.is = state::gone;
        } else if (u.is == state::waits) {
            erase(line, index);
            ask(index, state::wants_again);
        }
    }
    void begin_to_wait(std::size_t index) {
        users[index].is = state::waits;
        line.push_back(index);
        unlock();
    }
    void run(std::size_t index) {
        user& u = users[index];
        if (u.is == state::created && !u.cancelled) {
            if (holder != nobody) return ask(index, state::wants);
            holder = index;
            begin_to_wait(index);
        } else if (u.is == state::created) {
            u.is = state::gone;
        } else if (u.is == state::has && u.cancelled) {
            u.is = state::gone;
            unlock();
        } else if (u.is == state::has) {
            begin_to_wait(index);
        } else if (u.is == state::has_again) {
            u.is = state::keeps;
            if (u.cancelled && u.notified) notify(1);
        }
    }
};

/// The state of a user that the driver sees: how its wait ended, and the mutex that it keeps.
struct kept {
    outcome_of_wait end = outcome_of_wait::none;
    mutex::guard guard;
};

task<> wait_and_keep(meeting* at, kept* into) {
    auto guard = co_await at->m.lock();
    try {
        co_await at->c.wait(guard);
        into->end = outcome_of_wait::value;
    } catch (const cancelled&) {
        into->end = outcome_of_wait::cancelled;
    }
    into->guard = std::move(guard);
}

/// True if the driver sees the state that the model expects.
bool same(const meeting& at, const mutex::guard& own, const std::deque<kept>& users,
          const condition_model& expected) {
    using state = condition_model::state;
    bool equal = at.m.locked() == (expected.holder != condition_model::nobody) &&
                 own.owns_lock() == (expected.holder == condition_model::driver) &&
                 at.m.waiting() == expected.mutex_line.size() &&
                 at.c.waiting() == expected.line.size();
    for (std::size_t i = 0; i < users.size(); ++i) {
        const auto& user = expected.users[i];
        equal &= users[i].guard.owns_lock() == (user.is == state::keeps);
        if (user.is != state::keeps) continue;
        equal &=
            users[i].end == (user.cancelled ? outcome_of_wait::cancelled : outcome_of_wait::value);
    }
    return equal;
}

RONDO_TEST("condition: does what a model of it does", "[sync][condition]", seeds(60).limit(60s)) {
    meeting at;
    condition_model expected;
    mutex::guard own;
    std::deque<kept> users;
    std::vector<future<>> tasks;
    for (int step = 0; step < 400; ++step) {
        const std::size_t what = die(20);
        if (what < 4) {
            users.emplace_back();
            tasks.push_back(create_task(wait_and_keep(&at, &users.back())));
            expected.ready.push_back(expected.users.size());
            expected.users.emplace_back();
        } else if (what < 7 && !tasks.empty()) {
            const std::size_t who = die(tasks.size());
            tasks[who].cancel();
            expected.cancel(who);
        } else if (what < 9) {
            const std::size_t count = 1 + die(3);
            REQUIRE(at.c.notify(count) == expected.notify(count));
        } else if (what == 9 && !own) {
            own = at.m.try_lock();
            if (expected.holder == condition_model::nobody)
                expected.holder = condition_model::driver;
        } else if (what < 12 && own) {
            own.unlock();
            expected.unlock();
        } else if (what < 15 && expected.holder < users.size() && users[expected.holder].guard) {
            const std::size_t who = expected.holder;
            expected.users[who].is = condition_model::state::gone;
            expected.unlock();
            users[who].guard.unlock();
        } else {
            co_await yield_now();
            expected.turn();
        }
        INFO("step " << step << ", action " << what);
        if (!same(at, own, users, expected)) REQUIRE(same(at, own, users, expected));
    }
    own = {};
    for (auto& each : tasks) each.cancel();
    for (auto& each : tasks)
        while (!each.done()) {
            for (auto& user : users) user.guard = {};
            co_await yield_now();
        }
    for (auto& user : users) user.guard = {};
}

}  // namespace
