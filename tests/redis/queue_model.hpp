// SPDX-License-Identifier: MIT
// A model of the server's side of a work_queue: its steps, in C++ and on virtual time.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "redis/fake_redis.hpp"

namespace rondo_tests {

class queue_model {
public:
    /// Milliseconds, as the server's clock has them.
    std::function<std::int64_t()> clock = [] {
        const auto since = rondo::running_loop().time().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::milliseconds>(since).count() + 1'000'000;
    };
    std::function<void()> on_added = [] {};

    /// Runs a step. Gives the reply as it is sent.
    std::string step(std::string_view name, const words& arguments, const words& ids) {
        now_ = clock();
        if (name == "put") return put(arguments);
        if (name == "take") return take(arguments);
        if (name == "begin") return begin(arguments);
        if (name == "renew") return renew(arguments);
        if (name == "done") return resp::number(done(arguments));
        if (name == "retry") return resp::number(retry(arguments));
        if (name == "release") return resp::number(release(arguments));
        if (name == "stats") return stats();
        if (name == "revive") return resp::number(revive(arguments[0]));
        if (name == "forget") return resp::number(forget(arguments[0], ids));
        if (name == "leave") give_back_unknown(arguments, 0);
        return resp::number(1);  // join, leave
    }

    /// XREADGROUP of one entry. Empty if there is none.
    std::string read(const std::string& consumer) {
        now_ = clock();
        if (unread_.empty()) return {};
        const int entry = next_unread();
        owners_[entry] = {consumer, now_, 1};
        const job& one = jobs_.at(entry);
        return resp::list({resp::list(
            {resp::bulk("jobs"), resp::list({resp::list({resp::bulk(name_of(entry)),
                                                         fields_of(one, {})})})})});
    }

    /// A crash of a server that had not written its last second: who has the jobs is forgotten.
    void lose_deliveries() {
        for (const auto& [entry, owner] : owners_) unread_.push_back(entry);
        owners_.clear();
        on_added();
    }

    std::size_t size() const { return jobs_.size() + later_.size(); }
    std::vector<std::string> dead_ids() const {
        std::vector<std::string> ids;
        for (const auto& [id, one] : dead_) ids.push_back(id);
        return ids;
    }

private:
    struct job {
        std::string id, payload;
        int attempts;
    };
    struct ownership {
        std::string consumer;
        std::int64_t since;
        int deliveries;
    };

    static std::string name_of(int entry) { return std::to_string(entry) + "-0"; }
    static int number_of(const std::string& text) { return std::stoi(text); }
    static std::string fields_of(const job& one, const std::vector<std::string>& more) {
        std::vector<std::string> all = {resp::bulk("id"),      resp::bulk(one.id),
                                        resp::bulk("payload"), resp::bulk(one.payload),
                                        resp::bulk("attempts"),
                                        resp::bulk(std::to_string(one.attempts))};
        for (const std::string& each : more) all.push_back(resp::bulk(each));
        return resp::list(all);
    }

    void add(job one) {
        const int entry = ++last_;
        jobs_.emplace(entry, std::move(one));
        unread_.push_back(entry);
        on_added();
    }
    /// The same job is put off once, until its last time: it is a member of a set.
    void put_off(std::int64_t due, job one) {
        std::erase_if(later_, [&](const auto& each) {
            const job& other = each.second;
            return other.id == one.id && other.payload == one.payload &&
                   other.attempts == one.attempts;
        });
        later_.emplace(due, std::move(one));
    }
    int next_unread() {
        const int entry = unread_.front();
        unread_.pop_front();
        return entry;
    }
    void remove(int entry) {
        jobs_.erase(entry);
        owners_.erase(entry);
    }
    bool is_held(const std::string& entry, const std::string& consumer, int deliveries) const {
        const auto at = owners_.find(number_of(entry));
        return at != owners_.end() && at->second.consumer == consumer &&
               at->second.deliveries == deliveries;
    }
    bool is_held(const words& arguments) const {
        return is_held(arguments[1], arguments[0], number_of(arguments[2]));
    }
    void give_back(int entry, int deliveries) {
        job one = jobs_.at(entry);
        remove(entry);
        one.attempts += deliveries - 1;
        add(std::move(one));
    }
    void give_back_unknown(const words& arguments, std::size_t from) {
        const auto first = arguments.begin() + static_cast<std::ptrdiff_t>(from) + 1;
        const auto last = first + number_of(arguments.at(from));
        const auto is_in = [](auto begin, auto end, const std::string& what) {
            return std::find(begin, end, what) != end;
        };
        std::vector<int> unknown;
        for (const auto& [entry, owner] : owners_)
            if (is_in(first, last, owner.consumer) &&
                !is_in(last, arguments.end(), name_of(entry)))
                unknown.push_back(entry);
        for (const int entry : unknown) give_back(entry, owners_.at(entry).deliveries);
    }
    void bury(int entry, int attempts, const std::string&) {
        job one = jobs_.at(entry);
        one.attempts = attempts;
        remove(entry);
        dead_.insert_or_assign(one.id, one);
    }

    // -- the steps
    std::string put(const words& arguments) {
        std::vector<std::string> results;
        for (std::size_t at = 1; at + 3 < arguments.size(); at += 4) {
            const std::string& token = arguments[at];
            const std::string& id = arguments[at + 1];
            const std::int64_t delay = std::stoll(arguments[at + 2]);
            const auto [marker, is_new] = markers_.emplace(id, token);
            if (is_new && delay > 0)
                put_off(now_ + delay, {id, arguments[at + 3], 0});
            else if (is_new)
                add({id, arguments[at + 3], 0});
            results.push_back(resp::number(is_new || marker->second == token ? 1 : 0));
        }
        return resp::list(results);
    }

    std::string take(const words& arguments) {
        const std::string& consumer = arguments[0];
        const auto count = static_cast<std::size_t>(number_of(arguments[1]));
        const int attempts = number_of(arguments[2]);
        give_back_unknown(arguments, 6);
        for (int n = 0; n < 100 && !later_.empty() && later_.begin()->first <= now_; ++n) {
            add(later_.begin()->second);
            later_.erase(later_.begin());
        }
        std::vector<std::string> taken;
        std::int64_t wait = 1000;
        const auto give = [&](int entry) {
            const job one = jobs_.at(entry);
            const int deliveries = owners_.at(entry).deliveries;
            if (one.attempts + deliveries > attempts)
                return bury(entry, one.attempts + deliveries - 1, "its worker did not finish");
            taken.push_back(resp::list(
                {resp::bulk(name_of(entry)), resp::number(deliveries), resp::number(one.attempts),
                 resp::bulk(one.id), resp::bulk(one.payload)}));
        };
        if (now_ >= scan_at_) {
            bool is_whole = true;
            for (const auto& [entry, owner] : std::map<int, ownership>(owners_)) {
                const std::int64_t idle = now_ - owner.since;
                const std::int64_t lease = std::stoll(owner.consumer.substr(
                    owner.consumer.find(":lease=") + 7));
                if (idle < lease) {
                    if (idle >= 500) wait = std::min(wait, lease - idle);
                    continue;
                }
                if (taken.size() >= count) {
                    is_whole = false;
                    break;
                }
                owners_[entry] = {consumer, now_, owner.deliveries + 1};
                give(entry);
            }
            scan_at_ = is_whole ? now_ + 250 : now_;
        }
        while (taken.size() < count && !unread_.empty()) {
            const int entry = next_unread();
            owners_[entry] = {consumer, now_, 1};
            give(entry);
        }
        const std::int64_t first = taken.empty() ? 0 : next_fence(taken.size());
        if (!later_.empty())
            wait = std::min(wait, std::max<std::int64_t>(1, later_.begin()->first - now_));
        return resp::list({resp::number(wait), resp::number(static_cast<int>(jobs_.size())),
                           resp::number(static_cast<int>(later_.size())), resp::number(first),
                           resp::list(taken)});
    }
    std::int64_t next_fence(std::size_t count) {
        const std::int64_t first = std::max(fence_ + 1, now_ * 1000);
        fence_ = first + static_cast<std::int64_t>(count) - 1;
        return first;
    }

    std::string begin(const words& arguments) {
        if (!is_held(arguments[1], arguments[0], 1)) return resp::list({});
        const int entry = number_of(arguments[1]);
        owners_[entry].since = now_;
        const job one = jobs_.at(entry);
        if (one.attempts + 1 > number_of(arguments[2])) {
            bury(entry, one.attempts, "its worker did not finish");
            return resp::list({});
        }
        return resp::list(
            {resp::number(next_fence(1)), resp::number(one.attempts), resp::bulk(one.id)});
    }
    std::string renew(const words& arguments) {
        std::vector<std::string> results;
        for (std::size_t at = 0; at + 2 < arguments.size(); at += 3) {
            const std::string& entry = arguments[at + 1];
            const bool is_ours = is_held(entry, arguments[at], number_of(arguments[at + 2]));
            if (is_ours) owners_[number_of(entry)].since = now_;
            results.push_back(resp::number(is_ours ? 1 : 0));
        }
        return resp::list(results);
    }
    int done(const words& arguments) {
        if (!is_held(arguments)) return 0;
        remove(number_of(arguments[1]));
        return 1;
    }
    int retry(const words& arguments) {
        if (!is_held(arguments)) return 0;
        const int entry = number_of(arguments[1]);
        job one = jobs_.at(entry);
        one.attempts += number_of(arguments[2]);
        const std::int64_t delay = std::stoll(arguments[4]);
        if (delay < 0) {
            bury(entry, one.attempts, arguments[5]);
            return 2;
        }
        remove(entry);
        put_off(now_ + delay, std::move(one));
        return 1;
    }
    int release(const words& arguments) {
        if (!is_held(arguments)) return 0;
        give_back(number_of(arguments[1]), number_of(arguments[2]));
        return 1;
    }
    std::string stats() const {
        const int leased = static_cast<int>(owners_.size());
        return resp::list({resp::number(static_cast<int>(jobs_.size()) - leased),
                           resp::number(leased), resp::number(static_cast<int>(later_.size())),
                           resp::number(static_cast<int>(dead_.size())), resp::number(0)});
    }
    int revive(const std::string& id) {
        const auto at = dead_.find(id);
        if (at == dead_.end()) return 0;
        job one = at->second;
        dead_.erase(at);
        one.attempts = 0;
        add(std::move(one));
        markers_.insert_or_assign(id, "revived");
        return 1;
    }
    int forget(const std::string& id, const words&) {
        return static_cast<int>(markers_.erase(id) + dead_.erase(id));
    }

    std::map<int, job> jobs_;  // by entry
    std::deque<int> unread_;
    std::map<int, ownership> owners_;
    std::multimap<std::int64_t, job> later_;
    std::map<std::string, job> dead_;
    std::map<std::string, std::string> markers_;  // id: token
    int last_ = 0;
    std::int64_t fence_ = 0;
    std::int64_t scan_at_ = 0;
    std::int64_t now_ = 0;
};

/// A simulated server with one queue.
class queue_server : public fake_redis {
public:
    queue_server() {
        waits = [this](words command, peer& one) { return reply(std::move(command), one); };
        model.on_added = [this] { readers_.unpark_all(); };
    }
    queue_model model;
    /// A step that is refused or cut: gives what to reply instead of running it.
    std::function<std::optional<std::string>(std::string_view step, const words&)> instead;
    /// Workers whose process was killed: what they still send is never read.
    std::function<bool(const std::string& consumer)> is_killed = [](const auto&) { return false; };
    /// Workers whose packets do not arrive for a while.
    std::function<bool(const std::string& consumer)> is_cut_off = [](const auto&) {
        return false;
    };
    std::vector<std::string> steps;

    int count(std::string_view step) const {
        return static_cast<int>(std::count(steps.begin(), steps.end(), step));
    }

private:
    rondo::task<std::optional<std::string>> reply(words command, peer& one) {
        const std::string& name = command[0];
        const std::string worker = worker_of(command);
        while (!worker.empty() && is_cut_off(worker))
            co_await rondo::sleep(std::chrono::milliseconds(20));
        if (name == "XREADGROUP") co_return co_await read(std::move(command), one);
        co_return answer(command);
    }

    /// The worker that has sent it; empty if it is no worker's.
    static std::string worker_of(const words& command) {
        for (const std::string& each : command)
            if (each.find(":lease=") != std::string::npos && each.find('\n') == std::string::npos)
                return each;
        return {};
    }

    std::optional<std::string> answer(const words& command) {
        const std::string& name = command[0];
        if (name == "INFO") return resp::bulk("# Server\r\nredis_version:7.0.15\r\n");
        if (name == "CONFIG")
            return resp::list({resp::bulk("appendonly"), resp::bulk("yes"),
                               resp::bulk("appendfsync"), resp::bulk("always"),
                               resp::bulk("maxmemory"), resp::bulk("0")});
        if (name == "XGROUP") return resp::ok;
        if (name == "HSETNX") return resp::number(1);
        if (name == "HGET") return resp::bulk("1");
        if (name == "SCRIPT") {
            const std::string& text = command.at(2);
            const std::size_t at = text.find(": ") + 2;
            return resp::bulk(text.substr(at, text.find('\n') - at));
        }
        if (name != "EVALSHA") return std::nullopt;
        const std::string& step = command.at(1);
        const auto key_count = static_cast<std::ptrdiff_t>(std::stoi(command.at(2)));
        const words arguments(command.begin() + 3 + key_count, command.end());
        const words ids(command.begin() + 8, command.begin() + 3 + key_count);
        steps.push_back(step);
        if (const std::string worker = worker_of(arguments); !worker.empty() && is_killed(worker))
            return "hang up";
        if (instead) {
            auto other = instead(step, arguments);
            if (other) return other;
        }
        return model.step(step, arguments, ids);
    }

    rondo::task<std::optional<std::string>> read(words command, peer& one) {
        const std::string consumer = command.at(3);
        const auto block = std::chrono::milliseconds(std::stoi(command.at(7)));
        const auto until = rondo::running_loop().time() + block;
        one.is_unblocked = false;
        for (;;) {
            if (is_killed(consumer)) co_return "hang up";
            std::string reply = model.read(consumer);
            if (!reply.empty()) co_return reply;
            const auto left = until - rondo::running_loop().time();
            if (one.is_unblocked || left <= rondo::duration::zero()) co_return "*-1\r\n";
            // Woken by a job, by CLIENT UNBLOCK, or by the time.
            auto woken = rondo::race(readers_.park(), one.blocked.park());
            co_await rondo::move_on_after(left, std::move(woken));
        }
    }

    rondo::wait_queue readers_;
};

}  // namespace rondo_tests
