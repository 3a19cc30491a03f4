// SPDX-License-Identifier: MIT
// Shows ipc_queue: three worker processes count the words of a text. Pieces of text go into one
// queue, and the workers put their counts into another. `join` waits until every piece is done. The
// workers are this program, started again.
// Run: word_count [FILE]
//
//     4000 pieces, 3 workers
//     the: 8000
//     a: 4000
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using counts = std::vector<std::pair<std::string, int>>;

counts count_words(const std::string& text) {
    std::map<std::string, int> found;
    std::string word;
    for (const char c : text + ' ') {
        if (std::isalpha(static_cast<unsigned char>(c)) != 0)
            word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        else if (!word.empty())
            ++found[std::exchange(word, {})];
    }
    return {found.begin(), found.end()};
}

/// The main function of a worker process: `word_count --work PIECES COUNTED`.
void work(int pieces_descriptor, int counted_descriptor) {
    auto pieces = rondo::ipc_queue<std::string>::adopt(pieces_descriptor);
    auto counted = rondo::ipc_queue<counts>::adopt(counted_descriptor);
    while (auto piece = pieces.blocking_next()) {
        counted.blocking_put(count_words(*piece));
        pieces.task_done();
    }
}

rondo::task<> collect(rondo::ipc_queue<counts>& counted, std::map<std::string, int>& all) {
    while (auto some = co_await counted.next()) {
        for (const auto& [word, times] : *some) all[word] += times;
        counted.task_done();
    }
}

rondo::task<int> feed(rondo::ipc_queue<std::string>& pieces, rondo::ipc_queue<counts>& counted,
                      std::string text) {
    std::istringstream lines(text);
    int fed = 0;
    for (std::string line; std::getline(lines, line); ++fed) co_await pieces.put(line);
    co_await pieces.join();  // all pieces are counted, and all counts are in the other queue
    pieces.close();
    co_await counted.join();
    counted.close();
    co_return fed;
}

rondo::task<> count_all(std::string text) {
    rondo::ipc_queue<std::string> pieces(64 * 1024);
    rondo::ipc_queue<counts> counted(64 * 1024);
    std::vector<rondo::process> workers;
    for (int i = 0; i < 3; ++i) {
        rondo::command worker("/proc/self/exe", "--work", std::to_string(pieces.number()),
                              std::to_string(counted.number()));
        workers.push_back(worker.keep(pieces.number()).keep(counted.number()).spawn());
    }
    std::map<std::string, int> all;
    const auto [fed, none] =
        co_await rondo::gather(feed(pieces, counted, text), collect(counted, all));
    for (auto& one : workers) co_await one.wait();

    std::vector<std::pair<int, std::string>> most;
    for (const auto& [word, times] : all) most.emplace_back(-times, word);
    std::sort(most.begin(), most.end());
    fmt::print("{} pieces, {} workers\n", fed, workers.size());
    for (std::size_t i = 0; i < std::min<std::size_t>(2, most.size()); ++i)
        fmt::print("{}: {}\n", most[i].second, -most[i].first);
}

std::string sample() {
    std::string text;
    for (int i = 0; i < 4'000; ++i)
        text += "The rondo is a piece whose theme keeps coming round, the\n";
    return text;
}

int main(int argc, char** argv) {
    if (argc == 4 && std::strcmp(argv[1], "--work") == 0) {
        work(std::atoi(argv[2]), std::atoi(argv[3]));
    } else if (argc > 1) {
        std::ifstream file(argv[1]);
        std::ostringstream text;
        text << file.rdbuf();
        rondo::run(count_all(text.str()));
    } else {
        rondo::run(count_all(sample()));
    }
}
