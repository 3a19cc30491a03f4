// SPDX-License-Identifier: MIT
// Files: reads 4 KiB at random places of a file in the page cache. So the path through rondo and
// the kernel is measured, not the disk.
#include <vector>

#include <rondo/file.hpp>
#include <rondo/future.hpp>

#include "cases.hpp"

namespace bench {
namespace {

rondo::task<> read_at_random(rondo::file& from, std::uint64_t count, std::uint64_t seed) {
    std::vector<char> buffer(read_size);
    random_numbers random(seed);
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t offset = random.next() % (file_size / read_size) * read_size;
        const auto chunk = co_await from.read_at(buffer, offset);
        if (chunk.size() != read_size) std::abort();
    }
}

// The readers borrow the file; the caller keeps it until all have ended.
rondo::task<> read_by(rondo::file& from, unsigned tasks) {
    std::vector<rondo::future<>> all;
    for (unsigned i = 0; i < tasks; ++i)
        all.push_back(
            rondo::create_task(read_at_random(from, reads / tasks, first_seed + i * 7919)));
    for (const auto& one : all) co_await one;
}

template <unsigned Tasks>
measurement file_reads() {
    const std::string path = cached_file();
    rondo::loop loop;
    rondo::file file = loop.run_until_complete(rondo::file::open(path));
    const stopwatch watch;
    loop.run_until_complete(read_by(file, Tasks));
    return watch.per(reads);
}

}  // namespace

void add_file_cases(suite& cases) {
    cases.push_back(
        {"file_read4k", "read of 4 KiB, one at a time", judged::by_value, file_reads<1>});
    cases.push_back(
        {"file_read4k_qd32", "read of 4 KiB, by 32 tasks", judged::by_value, file_reads<32>});
}

}  // namespace bench
