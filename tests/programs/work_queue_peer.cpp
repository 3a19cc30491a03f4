// SPDX-License-Identifier: MIT
// A producer and a worker of a work_queue, for tests/run_work_queue.py. The worker writes a ledger:
// a line for each beginning and each end of an attempt, appended in one write.
// Usage: work_queue_peer put|work|compute|dead|stats URL QUEUE [name=value ...]
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>
#include <rondo/work_queue.hpp>

using namespace std::chrono_literals;

namespace {

class settings {
public:
    settings(char** first, char** last) {
        for (char** each = first; each != last; ++each) {
            const std::string_view text = *each;
            const std::size_t equals = text.find('=');
            values_[std::string(text.substr(0, equals))] = text.substr(equals + 1);
        }
    }
    std::string text(const char* name, const char* otherwise) const {
        const auto found = values_.find(name);
        return found == values_.end() ? otherwise : found->second;
    }
    int number(const char* name, int otherwise) const {
        return std::atoi(text(name, std::to_string(otherwise).c_str()).c_str());
    }
    std::chrono::milliseconds time(const char* name, int otherwise) const {
        return std::chrono::milliseconds(number(name, otherwise));
    }

private:
    std::map<std::string, std::string> values_;
};

class ledger {
public:
    explicit ledger(const std::string& path)
        : file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {}
    void write(const rondo::work_lease& lease, std::string_view what) const {
        const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now().time_since_epoch());
        const std::string line = fmt::format("{} {} {} {} {} {}\n", lease.id(), lease.attempt(),
                                             lease.fence(), ::getpid(), now.count(), what);
        if (::write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            std::abort();
    }

private:
    int file_;
};

rondo::task<> work_on(const ledger& book, std::chrono::milliseconds time, std::string payload,
                      rondo::work_lease& lease) {
    book.write(lease, "begin");
    const std::string_view id = lease.id();
    if (id.starts_with("crash")) ::raise(SIGKILL);
    if (id.starts_with("poison")) throw std::runtime_error("poison");
    try {
        if (id.starts_with("stubborn"))
            co_await rondo::shield(rondo::sleep(time, payload.size()));
        else if (time > 0ms)
            co_await rondo::sleep(time);
        book.write(lease, "end");
    } catch (const rondo::cancelled&) {
        book.write(lease, fmt::format("cancelled {}", lease.why()));
        throw;
    }
}

/// For processes of a pool: a plain function, which crashes for one payload.
void compute(std::string payload) {
    if (payload.size() == 7) ::raise(SIGKILL);
    if (payload.size() == 8) throw std::runtime_error("eight");
}

rondo::task<> put_all(rondo::work_queue& queue, const settings& how) {
    const int count = how.number("count", 1);
    const std::string prefix = how.text("prefix", "job");
    const std::string payload(static_cast<std::size_t>(how.number("payload", 10)), 'x');
    int added = 0;
    for (int at = 0; at < count;) {
        std::vector<rondo::work_item> items;
        for (; at < count && items.size() < 100; ++at)
            items.push_back({.payload = payload, .id = prefix + std::to_string(at)});
        const auto results = co_await queue.put_many(std::move(items));
        for (const auto each : results) added += each == rondo::put_result::added;
        if (how.number("singly", 0) != 0) fmt::print("{}\n", at), std::fflush(stdout);
    }
    fmt::print("added {} of {}\n", added, count);
}

rondo::task<> program(std::string what, std::string url, std::string name, settings how) {
    rondo::work_queue_options options;
    options.lease = how.time("lease", 30'000);
    options.attempts = static_cast<unsigned>(how.number("attempts", 5));
    options.backoff = {how.time("backoff", 100), 1min};
    rondo::redis::client client(url, {.connect = how.time("connect", 10'000)});
    if (const std::string trusted = how.text("trust", ""); !trusted.empty())
        client.tls(rondo::tls::client_context().trust_file(trusted));
    auto queue = co_await rondo::work_queue::open(std::move(client), std::move(name), options);
    if (what == "put") co_await put_all(queue, how);
    if (what == "compute") {
        rondo::process_pool pool(2);
        const auto result = co_await queue.work(pool, compute, {.until_empty = true});
        fmt::print("done {} retried {} dead {}\n", result.done, result.retried, result.dead);
    }
    if (what == "work") {
        const ledger book(how.text("ledger", "/dev/null"));
        const auto time = how.time("job", 0);
        const auto limit = static_cast<std::size_t>(how.number("limit", 8));
        const auto job = [&](std::string payload, rondo::work_lease& lease) {
            return work_on(book, time, std::move(payload), lease);
        };
        rondo::work_options working;
        working.until_empty = how.number("until_empty", 1) != 0;
        const auto result = co_await queue.work(limit, job, working);
        fmt::print("done {} retried {} dead {} released {} lost {}\n", result.done, result.retried,
                   result.dead, result.released, result.lost);
    }
    if (what == "dead") {
        const auto dead = co_await queue.dead();
        for (const auto& each : dead)
            fmt::print("{} {} {} {}\n", each.id, each.attempts, each.payload.size(), each.reason);
    }
    const auto stats = co_await queue.stats();
    fmt::print("waiting {} leased {} later {} dead {}\n", stats.waiting, stats.leased, stats.later,
               stats.dead);
}

}  // namespace

int main(int argc, char** argv) {
    if (rondo::process_worker(argc, argv)) return 0;
    if (argc < 4) return 2;
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        rondo::run(program(argv[1], argv[2], argv[3], settings(argv + 4, argv + argc)),
                   {.handle_sigterm = true});
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
    return rondo::interrupted();
}
