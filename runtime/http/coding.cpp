// SPDX-License-Identifier: MIT
// Stacked content codings, and their bounds.
#include "http/coding.hpp"

#include <utility>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

content_decoder::content_decoder(std::string_view codings, const coding_limits& bounds)
    : bounds_(bounds), name_(ascii::printable(codings)) {
    const auto names = split_list(codings);
    for (auto name = names.rbegin(); name != names.rend(); ++name) {  // the last was put on last
        if (same_word(*name, "identity")) continue;
        std::string error;
        if (links_.size() == bounds.codings)
            error = "the body has too many content codings: " + name_;
        link next;
        if (error.empty()) next.stage = make_coding_stage(*name, error);
        if (!next.stage) {
            fail(links_.size() == bounds.codings ? h1::fault::limit : h1::fault::body, error);
            return;
        }
        if (!links_.empty()) next.buffer = std::make_unique_for_overwrite<char[]>(buffer_bytes);
        links_.push_back(std::move(next));
    }
}

void content_decoder::fail(h1::fault kind, std::string text) {
    why_ = h1::problem{kind, 0, std::move(text)};
    links_.clear();
}

content_decoder::result content_decoder::decode(std::string_view in, char* out, std::size_t room) {
    if (has_failed() || links_.empty()) return {0, 0, has_failed()};
    in_ = in;
    consumed_ += in.size();  // of the ratio: also what waits
    result total;
    while (total.produced < room && !has_failed()) {
        const std::size_t made =
            pull(links_.size() - 1, out + total.produced, room - total.produced);
        if (made == 0) break;
        total.produced += made;
    }
    consumed_ -= in_.size();
    total.consumed = in.size() - in_.size();
    total.has_failed = has_failed();
    if (total.has_failed) total.produced = 0;
    return total;
}

/// Up to `room` bytes of the link's output; 0 if there is no more input, or it has failed.
std::size_t content_decoder::pull(std::size_t index, char* out, std::size_t room) {
    for (;;) {
        link& here = links_[index];
        std::string_view& input = index == 0 ? in_ : here.waiting;
        char* end = out;
        std::size_t left = room;
        if (here.stage->run(input, end, left) == coding_stage::result::broken) {
            fail(h1::fault::body, "the body is not what content-encoding says: " + name_);
            return 0;
        }
        here.produced += room - left;
        if (!is_within_bounds(index)) return 0;
        if (left < room) return room - left;
        if (index == 0) return 0;
        const std::size_t made = pull(index - 1, here.buffer.get(), buffer_bytes);
        if (made == 0) return 0;
        here.waiting = {here.buffer.get(), made};
    }
}

// Each link is checked: a bomb between two codings costs time, though little of it comes out.
bool content_decoder::is_within_bounds(std::size_t index) {
    const std::uint64_t produced = links_[index].produced;
    if (index + 1 == links_.size() && produced > bounds_.bytes) {
        fail(h1::fault::limit,
             "the decoded body is longer than " + std::to_string(bounds_.bytes) + " bytes");
        return false;
    }
    if (produced <= bounds_.ratio_from || produced / bounds_.ratio <= consumed_) return true;
    fail(h1::fault::limit, "the body expands to more than " + std::to_string(bounds_.ratio) +
                               " times its size: " + name_);
    return false;
}

bool content_decoder::finish() {
    for (const link& each : links_) {
        if (each.stage->is_complete()) continue;
        fail(h1::fault::body, "the coded body is cut off: " + name_);
        return false;
    }
    return !has_failed();
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
