// SPDX-License-Identifier: MIT
#include "http/event_parser.hpp"

#include <algorithm>
#include <charconv>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

event_parser::result event_parser::next(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size()) {
        if (after_cr_) {
            after_cr_ = false;
            if (bytes[used] == '\n' && ++used == bytes.size()) break;
        }
        const std::string_view rest = bytes.substr(used);
        const auto end = rest.find_first_of("\r\n");
        const std::size_t size = std::min(end, rest.size());
        if (line_.size() + data_.size() + size > bytes_max_) return {used, false, true};
        line_ += rest.substr(0, size);
        used += size;
        if (end == std::string_view::npos) break;
        after_cr_ = rest[end] == '\r';
        ++used;
        if (end_line()) return {used, true, false};
    }
    return {used, false, false};
}

bool event_parser::end_line() {
    std::string_view line = line_;
    if (is_first_ && line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);
    is_first_ = false;
    bool is_complete = false;
    if (line.empty()) {
        is_complete = dispatch();
    } else if (line.front() != ':') {
        const auto colon = std::min(line.find(':'), line.size());
        std::string_view value = line.substr(std::min(colon + 1, line.size()));
        if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        take_field(line.substr(0, colon), value);
    }
    line_.clear();
    return is_complete;
}

void event_parser::take_field(std::string_view name, std::string_view value) {
    if (name == "data") {
        if (has_data_) data_ += '\n';
        data_ += value;
        has_data_ = true;
    } else if (name == "event") {
        type_ = value;
    } else if (name == "id") {
        if (value.find('\0') == std::string_view::npos) last_id_ = value;
    } else if (name == "retry") {
        std::int64_t count = 0;
        const bool is_number = !value.empty() && value.size() < 16 &&
                               std::all_of(value.begin(), value.end(), ascii::is_digit);
        std::from_chars(value.data(), value.data() + value.size(), count);
        if (is_number) retry_ = std::chrono::milliseconds(count);
    }
}

bool event_parser::dispatch() {
    const bool has_event = has_data_;
    if (has_event) {
        event_.type = type_.empty() ? "message" : type_;
        event_.data = std::move(data_);
        event_.id = last_id_;
    }
    data_.clear();
    type_.clear();
    has_data_ = false;
    return has_event;
}

void event_parser::restart() {
    line_.clear();
    data_.clear();
    type_.clear();
    has_data_ = after_cr_ = false;
    is_first_ = true;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
