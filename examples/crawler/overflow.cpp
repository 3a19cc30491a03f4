// SPDX-License-Identifier: MIT
// Lines, in blocks. Memory holds the block at each end; the file holds those between.
#include "overflow.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

namespace crawler {

namespace {

constexpr std::size_t overflow_block = std::size_t{64} * 1024;

/// Takes the complete lines off `text`.
std::vector<target> lines_off(std::string& text) {
    std::vector<target> result;
    std::string_view rest = text;
    for (auto end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
        if (auto page = target::parse(rest.substr(0, end))) result.push_back(std::move(*page));
        rest.remove_prefix(end + 1);
    }
    text.erase(0, text.size() - rest.size());
    return result;
}

}  // namespace

rondo::task<> overflow::put(target page) {
    end_ += page.text() + '\n';
    ++pages_;
    if (end_.size() >= overflow_block) co_await write_end();
}

rondo::task<> overflow::write_end() {
    const auto turn = co_await one_at_a_time_.lock();
    if (end_.size() < overflow_block) co_return;  // another task has written it
    if (!file_) file_ = co_await rondo::temporary_file(std::filesystem::temp_directory_path());
    const std::string block = std::exchange(end_, {});
    const std::uint64_t at = std::exchange(write_at_, write_at_ + block.size());
    co_await file_.write_all_at(block, at);
}

rondo::task<std::vector<target>> overflow::take() {
    const auto turn = co_await one_at_a_time_.lock();
    if (read_at_ < write_at_)
        co_await read_beginning();
    else
        beginning_ += std::exchange(end_, {});
    std::vector<target> result = lines_off(beginning_);
    pages_ -= result.size();
    co_return result;
}

rondo::task<> overflow::read_beginning() {
    const std::size_t size = std::min<std::uint64_t>(overflow_block, write_at_ - read_at_);
    std::string block(size, '\0');
    co_await file_.read_exactly_at(block, read_at_);
    beginning_ += block;
    read_at_ += size;
    if (read_at_ < write_at_) co_return;
    co_await file_.truncate(0);
    read_at_ = write_at_ = 0;
}

}  // namespace crawler
