// SPDX-License-Identifier: MIT
// The scripts of the work queue on a real server, whose URL RONDO_REDIS has, side by side with the
// model that other tests use: random steps, right and wrong ones, must have the same answers.
#include <cctype>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "redis/queue_model.hpp"
#include "redis/reply_reader.hpp"
#include "redis/work_queue_state.hpp"

using namespace rondo;
using namespace rondo_tests;
using namespace std::chrono_literals;
using detail::work_step;

namespace {

struct lease {
    std::string real, model;  // entries
    std::string consumer;
    int deliveries;
};

class pair_of_queues {
public:
    pair_of_queues(const std::string& url, const std::string& name, std::uint64_t seed)
        : state_(redis::client(url), name, {}), random_(seed) {}

    task<> run(int steps) {
        co_await state_.prepare();
        for (int i = 0; i < steps; ++i) co_await any_step();
    }

private:
    int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
    std::string any_id() { return std::string(1, static_cast<char>('a' + below(6))); }
    std::string any_consumer() { return "c" + std::to_string(below(3)) + ":lease=3600000"; }

    static redis::value parsed(const std::string& reply) {
        detail::reply_reader reader(1 << 20);
        reader.feed(reply);
        return reader.next().value();
    }
    /// Entries and fences are counted; everything else must be equal.
    std::string normal(const redis::value& of, std::map<std::string, std::string>& entries) {
        if (of.is_list()) {
            std::string all = "[";
            for (const auto& each : of) all += normal(each, entries) + " ";
            return all + "]";
        }
        if (of.kind() == redis::value_kind::number)
            return of.number() > 1'000'000'000 ? "fence" : std::to_string(of.number());
        if (of.is_nil()) return "nil";
        const std::string& text = of.text();
        const bool is_entry = text.ends_with("-0") || text.find("-") == 13;
        if (!is_entry) return text;
        return entries.emplace(text, "entry" + std::to_string(entries.size())).first->second;
    }

    task<> same(work_step step, std::string name, words real, words model, words ids) {
        words markers;
        for (const std::string& id : ids) markers.push_back(state_.marker_of(id));
        redis::value a = co_await state_.run_with(step, std::move(real), markers);
        redis::value b = parsed(model_.step(name, model, ids));
        if (name == "stats") {
            a = redis::value(std::vector<redis::value>(a.begin(), a.end() - 1));
            b = redis::value(std::vector<redis::value>(b.begin(), b.end() - 1));
        }
        if (name == "take") {
            note_leases(a[4], b[4], model[0]);
            a = redis::value(std::vector<redis::value>(a.begin() + 1, a.end()));
            b = redis::value(std::vector<redis::value>(b.begin() + 1, b.end()));
        }
        INFO(name);
        CHECK(normal(a, real_entries_) == normal(b, model_entries_));
    }
    void note_leases(const redis::value& a, const redis::value& b, const std::string& consumer) {
        REQUIRE(a.size() == b.size());
        for (std::size_t i = 0; i < a.size(); ++i)
            leases_.push_back({a[i][0].text(), b[i][0].text(), consumer,
                               static_cast<int>(a[i][1].number())});
    }

    task<> any_step() {
        const std::string remember = "100000", id = any_id();
        switch (below(10)) {
            case 0:
            case 1: {
                const std::string delay = below(4) == 0 ? "3600000" : "0";
                const words given = {remember, "token" + std::to_string(below(9)), id, delay,
                                     "payload \r\n of " + id};
                co_return co_await same(work_step::put, "put", given, given, words(1, id));
            }
            case 2:
            case 3: {
                const words given = {any_consumer(), std::to_string(1 + below(3)),
                                     "3",            "3600000",
                                     remember,       state_.marker_of(""),
                                     "0"};
                co_return co_await same(work_step::take, "take", given, given, words());
            }
            case 4: co_return co_await same(work_step::stats, "stats", words(), words(), words());
            case 5: {
                const words given = {id, remember};
                const words ids(1, id);
                if (below(2) == 0)
                    co_return co_await same(work_step::revive, "revive", given, given, ids);
                if (below(8) == 0)
                    co_return co_await same(work_step::forget, "forget", given, given, ids);
                break;
            }
            case 6: {
                const words given = {"1", any_consumer()};
                words real = given, model = given;
                for (const lease& each : leases_) {
                    if (below(2) == 0) continue;
                    real.push_back(each.real);
                    model.push_back(each.model);
                }
                co_return co_await same(work_step::leave, "leave", std::move(real),
                                        std::move(model), words());
            }
            default: break;
        }
        if (!leases_.empty()) co_await step_on_lease(id, remember);
    }

    task<> step_on_lease(std::string id, std::string remember) {
        const int place = below(static_cast<int>(leases_.size()));
        const lease& any = leases_[static_cast<std::size_t>(place)];
        std::string consumer = any.consumer;
        if (below(5) == 0) consumer = any_consumer();
        const std::string deliveries = std::to_string(any.deliveries + (below(6) == 0 ? 1 : 0));
        words real = {consumer, any.real, deliveries}, model = {consumer, any.model, deliveries};
        const auto add = [&](const std::string& word) {
            real.push_back(word);
            model.push_back(word);
        };
        switch (below(5)) {
            case 0:
                co_return co_await same(work_step::renew, "renew", std::move(real),
                                        std::move(model), words());
            case 1:
                co_return co_await same(work_step::release, "release", std::move(real),
                                        std::move(model), words(1, id));
            case 2:
                add(remember);
                co_return co_await same(work_step::done, "done", std::move(real), std::move(model),
                                        words(1, id));
            case 3:
                add(remember);
                add(below(3) == 0 ? "-1" : "0");
                add("reason");
                co_return co_await same(work_step::retry, "retry", std::move(real),
                                        std::move(model), words(1, id));
            default:
                real[2] = model[2] = "3";
                add(remember);
                add(state_.marker_of(""));
                co_await same(work_step::begin, "begin", std::move(real), std::move(model),
                              words());
        }
    }

    detail::work_queue_state state_;
    queue_model model_;
    std::mt19937_64 random_;
    std::vector<lease> leases_;
    std::map<std::string, std::string> real_entries_, model_entries_;
};

}  // namespace

RONDO_TEST("work steps: the scripts and the model give the same answers", "[kernel]", limit(60s)) {
    const char* const url = std::getenv("RONDO_REDIS");
    if (url == nullptr) SKIP("RONDO_REDIS names no server: tests/run_work_queue.py starts one");
    for (const std::uint64_t seed : testing::seeds(long_run() ? 100 : 10)) {
        INFO("RONDO_SEED=" << seed);
        pair_of_queues both(url, "steps" + std::to_string(seed), seed);
        co_await both.run(150);
    }
}
