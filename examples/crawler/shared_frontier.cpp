// SPDX-License-Identifier: MIT
// Pages as jobs of a work_queue.
#include "shared_frontier.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <rondo/race.hpp>
#include <rondo/sleep.hpp>
#include <rondo/sync.hpp>

#include "options.hpp"
#include "output.hpp"
#include "queue_address.hpp"

#if defined(CRAWLER_WITH_REDIS)
#include <rondo/work_queue.hpp>
#endif

namespace crawler {

#if defined(CRAWLER_WITH_REDIS)

namespace {

constexpr unsigned attempts_max = 10;  // a page that kills its process so often is given up

class redis_frontier final : public frontier {
public:
    redis_frontier(rondo::work_queue queue, std::size_t pages_max)
        : queue_(std::move(queue)), pages_max_(pages_max) {}

    rondo::task<> put(std::vector<target> found) override {
        std::vector<rondo::work_item> items;
        std::vector<std::uint64_t> hashes;
        for (const target& page : found) {
            const std::uint64_t hash = hash_of_url(page.url);
            if (known_.contains(hash)) continue;
            hashes.push_back(hash);
            rondo::work_item item{page.text(), queue_id(page.url)};
            items.push_back(std::move(item));
        }
        if (items.empty()) co_return;
        if (is_full_) {
            dropped_ += items.size();
            co_return;
        }
        const auto results = co_await queue_.put_many(std::move(items));
        std::int64_t added = 0;
        for (const rondo::put_result one : results) added += one == rondo::put_result::added;
        known_.insert(hashes.begin(), hashes.end());
        if (pages_max_ != 0 && added != 0) co_await count_pages(added);
    }

    rondo::task<> work(std::size_t jobs, visitor& with, rondo::duration grace) override {
        co_await rondo::race(visit_all(jobs, with, grace), output_fails(), watch());
        if (error_) std::rethrow_exception(error_);
    }

    frontier_counts counts() const noexcept override {
        return {stats_.waiting + stats_.later, at_work_, dropped_, stats_.dead};
    }

private:
    rondo::task<> visit_all(std::size_t jobs, visitor& with, rondo::duration grace) {
        rondo::work_options options;
        options.until_empty = true;
        options.grace = grace;
        const auto visit = [&](std::string line) { return visit_one(with, std::move(line)); };
        co_await queue_.work(jobs, visit, options);
        stats_ = co_await queue_.stats();
    }

    rondo::task<> count_pages(std::int64_t added) {
        const std::string counter = "crawler:" + queue_.name() + ":pages";
        try {
            const std::int64_t all = co_await queue_.redis().incr(counter, added);
            is_full_ = static_cast<std::size_t>(all) >= pages_max_;
        } catch (const rondo::redis::connection_error&) {  // the limit need not be exact
        }
    }

    rondo::task<> visit_one(visitor& with, std::string line) {
        const auto page = target::parse(line);
        if (!page) throw rondo::work_failed("no page of a crawl");
        ++at_work_;
        const leaving done{at_work_};
        try {
            co_await with.visit(*page);
        } catch (const output_error&) {
            error_ = std::current_exception();
            failed_.set();
            throw;
        }
    }

    /// Ends work() if results cannot be written: this process is of no use then.
    rondo::task<> output_fails() { co_await failed_.wait(); }

    /// Keeps the counts for the status line.
    rondo::task<> watch() {
        for (;;) {
            try {
                stats_ = co_await queue_.stats();
            } catch (const rondo::redis::error&) {  // work() goes on, and so does the crawl
            }
            co_await rondo::sleep(std::chrono::milliseconds(500));
        }
    }

    struct leaving {
        std::size_t& count;
        ~leaving() { --count; }
    };

    rondo::work_queue queue_;
    std::size_t pages_max_;
    std::unordered_set<std::uint64_t> known_;  // that this process has put
    rondo::work_stats stats_;
    std::size_t at_work_ = 0;
    std::size_t dropped_ = 0;
    bool is_full_ = false;
    rondo::event failed_;
    std::exception_ptr error_;
};

}  // namespace

rondo::task<std::unique_ptr<frontier>> open_shared_frontier(std::string url, std::size_t pages_max,
                                                            rondo::duration lease) {
    const queue_address address(url);
    rondo::work_queue_options options;
    options.lease = lease;
    options.attempts = attempts_max;
    auto queue = co_await rondo::work_queue::open(address.server, address.name, options);
    co_return std::make_unique<redis_frontier>(std::move(queue), pages_max);
}

#else

rondo::task<std::unique_ptr<frontier>> open_shared_frontier(std::string url, std::size_t,
                                                            rondo::duration) {
    const queue_address address(url);
    throw usage_error("--queue: this crawler was built without librondo-redis (libhiredis-dev)");
    co_return nullptr;
}

#endif

}  // namespace crawler
