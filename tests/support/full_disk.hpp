// SPDX-License-Identifier: MIT
// Every way to write a file, for tests of full disks and short writes.
#pragma once

#include <algorithm>
#include <array>
#include <string>

#include <rondo/copy.hpp>
#include <rondo/file.hpp>
#include <rondo/file_system.hpp>
#include <rondo/gather.hpp>
#include <rondo/unix.hpp>

namespace rondo_tests {

using namespace rondo;

inline task<> write_at_position(std::string path, const std::string& all) {
    auto to = co_await file::create(path);
    co_await to.write_all(all);
}

inline task<> write_in_parts(std::string path, const std::string& all) {
    auto to = co_await file::create(path);
    const std::size_t third = all.size() / 3;
    const std::string_view text = all;
    co_await to.write_all(text.substr(0, third), text.substr(third, third), text.substr(2 * third));
}

inline task<> write_at_offset(std::string path, const std::string& all) {
    auto to = co_await file::create(path);
    co_await to.write_all_at(all, 0);
}

inline task<> write_whole(std::string path, const std::string& all) {
    co_await write_file(path, all);
}

inline task<> append_whole(std::string path, const std::string& all) {
    co_await append_to_file(path, all);
}

inline task<> replace_whole(std::string path, const std::string& all) {
    co_await replace_file(path, all);
}

class text_source {
public:
    explicit text_source(std::string_view text) noexcept : left_(text) {}
    task<chunk> read_some(buffer_view into) {
        const std::size_t count = std::min(into.size(), left_.size());
        std::copy_n(left_.data(), count, into.data());
        left_.remove_prefix(count);
        co_return count == 0 ? chunk() : chunk(into.first(count));
    }

private:
    std::string_view left_;
};

inline task<> copy_into(std::string path, const std::string& all) {
    text_source from(all);
    auto to = co_await file::create(path);
    copy_options options;
    options.buffer_size = 100'000;
    co_await copy(from, to, options);
}

inline task<> receive_into(std::string path, const std::string& all) {
    auto [from, to] = socket_pair();
    auto target = co_await file::create(path);
    auto sender = [](unix_stream end, const std::string& bytes) -> task<> {
        unix_stream out = std::move(end);  // closed when this task ends
        try {
            co_await out.write_all(bytes);
        } catch (const std::system_error&) {  // the receiver has failed and closed
        }
    };
    auto receiver = [](unix_stream in, file& into) -> task<> {
        co_await receive_file(in, into);
    };
    co_await gather(sender(std::move(to), all), receiver(std::move(from), target));
}

struct way_to_write {
    const char* name;
    task<> (*write)(std::string path, const std::string& all);
};
inline constexpr std::array ways_to_write{
    way_to_write{"write_all", write_at_position}, way_to_write{"parts", write_in_parts},
    way_to_write{"write_all_at", write_at_offset}, way_to_write{"write_file", write_whole},
    way_to_write{"append_to_file", append_whole},  way_to_write{"replace_file", replace_whole},
    way_to_write{"copy", copy_into},               way_to_write{"receive_file", receive_into},
};

}  // namespace rondo_tests
