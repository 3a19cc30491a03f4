// SPDX-License-Identifier: MIT
// Shows a queue of jobs that any number of processes share: each word is counted once, however
// often it is put, and by whichever worker is free. A word that cannot be counted is dead in the
// end, and can be looked at and put again.
// Run: work_queue redis://localhost put apple fig "" pear
//      work_queue redis://localhost work        (on as many terminals as you like; Ctrl-C ends it)
//      work_queue redis://localhost look
//
//     put 4 words, 0 of them were known
//     apple has 5 letters (attempt 1)
//     fig has 3 letters (attempt 1)
//     pear has 4 letters (attempt 1)
//     0 wait, 0 at work, 0 later, 1 dead; this Redis keeps them: none
//     dead after 1 attempt: "" (there is nothing to count)
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>
#include <rondo/work_queue.hpp>

using namespace std::chrono_literals;

rondo::task<> put_all(rondo::work_queue& queue, std::vector<std::string> words) {
    int known = 0;
    for (const std::string& word : words) {
        const std::string id = "word " + word;
        const auto result = co_await queue.put(word, {.id = id});
        if (result == rondo::put_result::known) ++known;
    }
    fmt::print("put {} words, {} of them were known\n", words.size(), known);
}

// If this throws, the job is repeated, after 100 ms at first. If its process dies, another worker
// begins it 10 s later.
rondo::task<> count(std::string word, rondo::work_lease& lease) {
    if (word.empty()) throw rondo::work_failed("there is nothing to count");  // no use in repeating
    co_await rondo::sleep(10ms);
    fmt::print("{} has {} letters (attempt {})\n", word, word.size(), lease.attempt());
}

rondo::task<> look(rondo::work_queue& queue) {
    const auto stats = co_await queue.stats();
    const char* const kept[] = {"unknown", "none", "all but a second", "all"};
    fmt::print("{} wait, {} at work, {} later, {} dead; this Redis keeps them: {}\n",
               stats.waiting, stats.leased, stats.later, stats.dead,
               kept[static_cast<int>(queue.durability())]);
    for (const auto& job : co_await queue.dead())
        fmt::print("dead after {} attempt: \"{}\" ({})\n", job.attempts, job.payload, job.reason);
}

rondo::task<> program(std::string url, std::string what, std::vector<std::string> words) {
    auto queue = co_await rondo::work_queue::open(
        url, "words", {.lease = 10s, .backoff = {100ms, 1min}});
    if (what == "put") co_await put_all(queue, std::move(words));
    if (what == "work") co_await queue.work(4, count);
    if (what == "work-until-empty") co_await queue.work(4, count, {.until_empty = true});
    if (what == "look") co_await look(queue);
}

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr, "usage: work_queue URL put WORD... | work | work-until-empty | look\n");
        return 2;
    }
    try {
        std::vector<std::string> words(argv + 3, argv + argc);
        rondo::run(program(argv[1], argv[2], std::move(words)), {.handle_sigterm = true});
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
    return rondo::interrupted();
}
