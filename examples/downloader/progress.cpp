// SPDX-License-Identifier: MIT
// Progress display: what is counted, and how a line is filled at any width.
#include "progress.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "figures.hpp"
#include "text.hpp"

namespace downloader {

namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds longest_wait = std::chrono::hours(100);  // a longer one is no estimate

double fraction_of(std::uint64_t bytes, std::uint64_t total) {
    return total == 0 ? 1 : std::min(1.0, static_cast<double>(bytes) / static_cast<double>(total));
}

std::optional<seconds> time_for(std::uint64_t bytes, double bytes_per_second) {
    if (bytes_per_second <= 0) return std::nullopt;
    const double time = std::ceil(static_cast<double>(bytes) / bytes_per_second);
    if (time >= static_cast<double>(longest_wait.count())) return std::nullopt;
    return seconds(static_cast<seconds::rep>(time));
}

std::string coloured(const char* code, const std::string& text, bool is_on) {
    return is_on ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
}

}  // namespace

std::size_t progress::start(std::string_view name) {
    active_[next_id_].name = printable(name);
    return next_id_++;
}

void progress::rename(std::size_t id, std::string_view name) {
    active_.at(id).name = printable(name);
}

void progress::expect(std::size_t id, std::optional<std::uint64_t> bytes_total,
                      std::uint64_t bytes) {
    active_.at(id).bytes_total = bytes_total;
    active_.at(id).bytes = bytes;
}

void progress::add(std::size_t id, std::uint64_t bytes) {
    transfer& one = active_.at(id);
    one.bytes += bytes;
    one.rate.add(bytes);
    received_ += bytes;
    rate_.add(bytes);
}

void progress::end(std::size_t id, const outcome& how) {
    active_.erase(id);
    if (how.how == ending::interrupted) return;
    if (how.how != ending::failed) {
        ++(how.how == ending::done ? files_done_ : files_skipped_);
        if (mode_ != progress_mode::lines) return;
    }
    const std::string name = printable(how.name.empty() ? how.url : how.name);
    if (how.how == ending::failed) {
        log_ += fmt::format("{}  failed: {}\n", name, how.reason);
        failures_.push_back(fmt::format("  {}: {}{}\n", name, how.reason,
                                        how.name.empty() ? "" : " (" + printable(how.url) + ")"));
        return;
    }
    log_ += how.how == ending::skipped
                ? fmt::format("{}  {}\n", name, how.reason)
                : fmt::format("{}  {}  {}{}\n", name, bytes_text(how.bytes),
                              rate_text(how.received, how.took),
                              how.resumed_at == 0
                                  ? ""
                                  : fmt::format("  continued at {}", bytes_text(how.resumed_at)));
}

void progress::note(std::string_view text) {
    if (mode_ != progress_mode::quiet) log_ += printable(text) + "\n";
}

// A terminal that has become narrower has wrapped the lines that are too long for it now.
std::string progress::erased(screen size) {
    std::size_t rows = 0;
    for (const std::size_t width : drawn_)
        rows += std::max<std::size_t>(1, (width + size.columns - 1) / size.columns);
    drawn_.clear();
    return rows > 0 ? fmt::format("\x1b[{}A\r\x1b[J", rows) : "";
}

void progress::sample(time now) {
    rate_.sample(now);
    for (auto& [id, one] : active_) one.rate.sample(now);
}

std::string progress::render(time now, screen size) {
    size.columns = std::max<std::size_t>(size.columns, 1);
    std::string out = erased(size) + log_;
    log_.clear();
    if (mode_ != progress_mode::bars) return out;
    sample(now);

    // The total has a line of its own, and the cursor stands on one below it.
    const std::size_t room = size.rows > 2 ? size.rows - 2 : 0;
    const std::size_t bars = active_.size() <= room ? active_.size() : (room > 0 ? room - 1 : 0);
    std::vector<std::string> lines;
    auto next = active_.begin();
    for (std::size_t i = 0; i < bars; ++i, ++next)
        lines.push_back(transfer_line(next->second, now, size));
    if (bars < active_.size() && room > 0) {
        const std::string more = fmt::format("and {} more", active_.size() - bars);
        lines.push_back(fitted(more, std::min(more.size(), size.columns), size.unicode));
    }
    lines.push_back(total_line(size));
    for (const std::string& line : lines) {
        out += line + "\n";
        drawn_.push_back(width_of(line));
    }
    return out;
}

// From left to right: name, bar, percent, bytes, rate, time left. Parts that do not fit are
// dropped, the name last.
std::string progress::transfer_line(const transfer& one, time now, screen size) const {
    const std::size_t columns = size.columns;
    if (columns < 16) return fitted(one.name, columns, size.unicode);
    const double rate = one.rate.bytes_per_second();
    const std::uint64_t total = one.bytes_total.value_or(0);
    std::string figures =
        one.bytes_total ? fmt::format(" {:3.0f}%", std::floor(100 * fraction_of(one.bytes, total)))
                        : std::string(5, ' ');
    if (columns >= 45) figures += fmt::format(" {:>9}", bytes_text(one.bytes));
    if (columns >= 60) figures += fmt::format(" {:>10}", rate_text(rate));
    if (columns >= 72) {
        const auto left = one.bytes_total && total >= one.bytes ? time_for(total - one.bytes, rate)
                                                                : std::nullopt;
        figures += fmt::format(" {:>7}", left ? clock_text(*left) : "");
    }

    const std::size_t rest = columns - figures.size();
    if (columns < 30) return fitted(one.name, rest, size.unicode) + figures;
    const std::size_t name = std::clamp<std::size_t>(rest * 2 / 5, 8, 40);
    const std::size_t width = rest - name - 1;
    const std::string bar = one.bytes_total
                                ? bar_text(fraction_of(one.bytes, total), width, size.unicode)
                                : marker_text(now, width, size.unicode);
    return fitted(one.name, name, size.unicode) + " " + coloured("36", bar, size.colour) + figures;
}

std::string progress::total_line(screen size) const {
    const std::size_t ended = files_done_ + files_skipped_ + failures_.size();
    std::vector<std::string> parts = {fmt::format("{}/{}", ended, counted(files_total_, "file"))};
    if (!failures_.empty()) parts.push_back(fmt::format("{} failed", failures_.size()));
    parts.push_back(bytes_text(received_));
    parts.push_back(rate_text(rate_.bytes_per_second()));
    if (const auto rest = remaining()) parts.push_back(clock_text(*rest) + " left");

    std::string line = parts.front().substr(0, size.columns);
    for (std::size_t i = 1; i < parts.size() && line.size() + 2 + parts[i].size() <= size.columns;
         ++i)
        line += "  " + parts[i];
    return line;
}

// Nothing if the length of a file is not known, of one that has not begun as well: a guess would be
// taken for a fact.
std::optional<seconds> progress::remaining() const {
    const std::size_t ended = files_done_ + files_skipped_ + failures_.size();
    if (ended + active_.size() < files_total_ || active_.empty()) return std::nullopt;
    std::uint64_t bytes_left = 0;
    for (const auto& [id, one] : active_) {
        if (!one.bytes_total) return std::nullopt;
        bytes_left += *one.bytes_total > one.bytes ? *one.bytes_total - one.bytes : 0;
    }
    return time_for(bytes_left, rate_.bytes_per_second());
}

std::string progress::finish(time now, screen size) {
    std::string out = erased(size) + log_;
    log_.clear();
    return mode_ == progress_mode::quiet ? out : out + summary(now);
}

std::string progress::summary(time now) const {
    const double elapsed = in_seconds(now);
    const double files_per_second = elapsed > 0 ? static_cast<double>(files_done_) / elapsed : 0;
    std::string text =
        fmt::format("{}, {} in {}: {:.{}f} files/s, {}, {} failed", counted(files_done_, "file"),
                    bytes_text(received_), duration_text(now), files_per_second,
                    files_per_second < 9.95 ? 1 : 0, rate_text(received_, now), failures_.size());
    if (files_skipped_ > 0) text += fmt::format(", {} there already", files_skipped_);
    const std::size_t ended = files_done_ + files_skipped_ + failures_.size();
    if (ended < files_total_) text += fmt::format(", {} not finished", files_total_ - ended);
    text += "\n";
    if (files_total_ > 1)
        for (const std::string& failure : failures_) text += failure;
    return text;
}

}  // namespace downloader
