// SPDX-License-Identifier: MIT
// Random runs of whole queues: workers that are killed and stopped, producers of the same ids, a
// network that is slow, cut and reset, on virtual time. Each run checks what the queue promises.
// RONDO_LONG=1 makes ten thousand runs; RONDO_SEED=7 repeats one.
#include <rondo/task_group.hpp>
#include <rondo/work_queue.hpp>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "redis/queue_model.hpp"

using namespace rondo;
using namespace rondo_tests;
using namespace std::chrono_literals;

namespace {

class trial {
public:
    explicit trial(std::uint64_t seed) : random_(seed) {
        server_.is_killed = [this](const std::string& consumer) {
            return killed_.contains(name_of(consumer));
        };
        server_.is_cut_off = [this](const std::string& consumer) {
            const auto at = cut_off_.find(name_of(consumer));
            return at != cut_off_.end() && running_loop().time() < at->second;
        };
    }

    task<> run() {
        running_loop().set_exception_handler([](const exception_context&) {});
        co_await server_.run([this] { return run_all(); });
    }
    std::vector<std::string> wrong;  // broken promises
    int begun = 0, repeated = 0;

private:
    struct history {
        unsigned attempt = 0;
        std::uint64_t fence = 0;
        bool was_given_back = false;
        int running = 0;
        int done = 0;
        int added = 0;
    };

    static std::string name_of(const std::string& consumer) {
        return consumer.substr(consumer.find(":lease=") + 7);
    }
    int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
    duration up_to(duration most) { return most * below(1000) / 1000; }

    task<> run_all() {
        co_await with_task_group([this](task_group& group) -> task<> {
            for (int i = 0; i < 2; ++i) group.start(produce());
            for (int i = 0; i < 3; ++i) group.start(keep_working());
            co_await disturb();
            const auto give_up = running_loop().time() + 30min;
            while (!is_over() && running_loop().time() < give_up) co_await sleep(100ms);
            if (!is_over()) wrong.push_back("the jobs do not end");
            group.cancel();
        });
        for (const auto& [id, each] : jobs_) {
            if (each.done == 0 && !id.starts_with("poison")) wrong.push_back(id + " was not done");
            if (each.added > 1) wrong.push_back(id + " was added twice");
        }
        std::size_t poison = 0;
        for (const auto& [id, each] : jobs_) poison += id.starts_with("poison");
        if (server_.model.dead_ids().size() != poison) wrong.push_back("other jobs are dead");
    }
    bool is_over() const { return producing_ == 0 && server_.model.size() == 0; }

    // -- producers: all put the same ids
    task<> produce() {
        ++producing_;
        auto queue = co_await open(30s);
        for (int i = 0; i < 12; ++i) {
            const std::string id = (i % 6 == 5 ? "poison" : "job") + std::to_string(i);
            static_cast<void>(jobs_[id]);
            put_options how;
            how.id = id;
            if (below(3) == 0) how.delay = up_to(3s);
            for (bool is_put = false; !is_put;) {
                try {
                    const put_result result = co_await queue.put("x", how);
                    if (result == put_result::added) ++jobs_[id].added;
                    is_put = true;
                } catch (const redis::error&) {  // not reachable for half a minute
                }
            }
            co_await sleep(up_to(1s));
        }
        --producing_;
    }
    task<work_queue> open(duration lease) {
        work_queue_options how;
        how.lease = lease;
        how.attempts = 60;
        how.backoff = {50ms, 1s};
        for (;;) {
            try {
                co_return co_await work_queue::open(server_.url(), "q", how);
            } catch (const redis::error&) {
            }
            co_await sleep(100ms);
        }
    }

    // -- workers: each incarnation has a lease of its own, by which the server knows it
    task<> keep_working() {
        for (;;) {
            const duration lease = 2s + 1ms * ++incarnations_ + 2s * below(2);
            const std::string name = std::to_string(lease / 1ms);
            auto working = create_task(work_once(lease));
            workers_[name] = working;
            try {
                co_await shield(working);
            } catch (const future_cancelled&) {
            } catch (const cancelled&) {
                working.cancel();
                throw;
            }
            workers_.erase(name);
            co_await sleep(up_to(500ms));
        }
    }
    task<> work_once(duration lease) {
        auto queue = co_await open(lease);
        co_await queue.work(static_cast<std::size_t>(1 + below(3)),
                            [this](std::string, work_lease& of) { return job(of); });
    }
    task<> job(work_lease& lease) {
        history& past = jobs_[lease.id()];
        const std::string text = lease.id() + ", attempt " + std::to_string(lease.attempt());
        ++begun;
        repeated += past.attempt != 0;
        if (++past.running > 1) wrong.push_back(text + ": two at the same time");
        const bool may_repeat = past.was_given_back && lease.attempt() == past.attempt;
        if (lease.attempt() <= past.attempt && !may_repeat)
            wrong.push_back(text + " after attempt " + std::to_string(past.attempt));
        if (lease.fence() <= past.fence) wrong.push_back(text + ": its fence is not larger");
        past.attempt = lease.attempt();
        past.fence = lease.fence();
        past.was_given_back = false;
        try {
            duration most = 500ms;
            if (below(3) == 0) most = 10s;
            co_await sleep(up_to(most));
        } catch (const cancelled&) {
            past.was_given_back = !lease.lost();
            --past.running;
            throw;
        }
        --past.running;
        if (lease.id().starts_with("poison") && lease.attempt() >= 3) throw work_failed("poison");
        if (lease.id().starts_with("poison")) throw std::runtime_error("poison");
        if (below(8) == 0) throw std::runtime_error("by chance");
        ++past.done;
    }

    // -- disturbances
    task<> disturb() {
        for (int i = 0; i < 12; ++i) {
            co_await sleep(up_to(2s));
            switch (below(8)) {
                case 0: testing::reset_connections(); break;
                case 1:
                    testing::cut_off(server_.where());
                    co_await sleep(below(3) * up_to(3s));
                    testing::restore(server_.where());
                    break;
                case 2: end_one(true); break;
                case 3: end_one(false); break;
                case 4: testing::set_network({.latency_most = up_to(200ms) + 1ms}); break;
                case 5: cut_steps_ = below(10); break;
                default: cut_off_one(); break;
            }
            server_.instead = [this](std::string_view step, const words& arguments) {
                return cut(step, arguments);
            };
        }
    }
    std::map<std::string, future<>>::iterator any_worker() {
        auto one = workers_.begin();
        std::advance(one, below(static_cast<int>(workers_.size())));
        return one;
    }
    void cut_off_one() {
        if (workers_.empty()) return;
        cut_off_[any_worker()->first] = running_loop().time() + 1s + up_to(7s);
    }
    void end_one(bool by_kill) {
        if (workers_.empty()) return;
        const auto one = any_worker();
        if (by_kill) killed_.insert(one->first);
        one->second.cancel();
    }
    /// Cuts some connections in a step, before or after it has run.
    std::optional<std::string> cut(std::string_view step, const words& arguments) {
        if (cut_steps_ <= 0 || below(3) != 0) return std::nullopt;
        --cut_steps_;
        if (below(2) == 0) server_.model.step(step, arguments, {});
        return "hang up";
    }

    queue_server server_;
    std::mt19937_64 random_;
    std::map<std::string, history> jobs_;
    std::map<std::string, future<>> workers_;
    std::set<std::string> killed_;
    std::map<std::string, time_point> cut_off_;
    int incarnations_ = 0;
    int producing_ = 0;
    int cut_steps_ = 0;
};

task<> one_trial(std::uint64_t seed, std::vector<std::string>* wrong, int* begun, int* repeated) {
    trial one(seed);
    co_await one.run();
    *wrong = one.wrong;
    *begun += one.begun;
    *repeated += one.repeated;
}

}  // namespace

TEST_CASE("work_queue: random runs of whole queues keep every promise", "[redis]") {
    if (is_kernel_chosen()) return;
    int begun = 0, repeated = 0;
    auto trials = static_cast<unsigned>(many(40, 5));
    if (long_run()) trials = with_asan() || with_tsan() ? 500 : 10'000;
    const std::vector<std::uint64_t> seeds = testing::seeds(trials);
    for (const std::uint64_t seed : seeds) {
        INFO("RONDO_SEED=" << seed);
        std::vector<std::string> wrong;
        testing::simulate(one_trial(seed, &wrong, &begun, &repeated), {.seed = seed});
        CHECK(wrong == std::vector<std::string>());
    }
    CHECK(begun >= static_cast<int>(seeds.size()) * 12);
    CHECK((repeated > 0 || seeds.size() == 1));
}
