// SPDX-License-Identifier: MIT
// The progress display of rondo-get, at every width and height, with names of all kinds.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../../examples/downloader/figures.hpp"
#include "../../examples/downloader/progress.hpp"
#include "../../examples/downloader/text.hpp"
#include "support/catch.hpp"

using namespace downloader;
using namespace std::chrono_literals;

namespace {

// Columns of what the display uses: ASCII, one-column symbols and, in the tests, one ideograph.
std::size_t columns_of(std::string_view line) {
    std::size_t result = 0;
    while (!line.empty()) {
        const code_point c = first_code_point(line);
        result += c.value == U'\u6f22' ? 2 : 1;
        line.remove_prefix(c.size);
    }
    return result;
}

std::vector<std::string> lines_of(std::string text) {
    const std::string clear = "\r\x1b[J";
    if (const auto at = text.find(clear); at != std::string::npos)
        text = text.substr(at + clear.size());
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < text.size();) {
        const auto end = text.find('\n', i);
        lines.push_back(text.substr(i, end - i));
        i = end + 1;
    }
    return lines;
}

screen terminal(std::size_t columns, bool unicode = false, std::size_t rows = 24) {
    screen result;
    result.columns = columns;
    result.rows = rows;
    result.unicode = unicode;
    return result;
}

outcome ended(ending how, std::string_view name, std::string_view reason = "",
              std::uint64_t bytes = 0, std::chrono::nanoseconds took = 1s) {
    outcome result;
    result.how = how;
    result.name = name;
    result.url = "http://host/" + std::string(name);
    result.reason = reason;
    result.bytes = result.received = bytes;
    result.took = took;
    return result;
}

void finish(progress& display, std::size_t id, std::string_view name, std::uint64_t bytes = 0,
            std::chrono::nanoseconds took = 1s) {
    display.end(id, ended(ending::done, name, "", bytes, took));
}
void lose(progress& display, std::size_t id, std::string_view name) {
    display.end(id, ended(ending::failed, name, "404 Not Found"));
}

// Eleven of twenty files: one done, one failed, nine active with names and lengths of all kinds.
progress busy(progress_mode mode) {
    progress display(20, mode);
    const std::string wide = "\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22.txt";
    const std::vector<std::string> names = {
        "a",           "debian-12.5.0-amd64-netinst.iso", wide,         "empty",
        "unknown.bin", "caf\u00e9-\u00fc\u00f6.tar.gz",   "esc\x1b[2J", "bad\xff\xfe",
        "full"};
    finish(display, display.start("gone"), "gone");
    lose(display, display.start("lost.zip"), "lost.zip");
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto id = display.start(names[i]);
        if (i != 4) display.expect(id, i == 3 ? 0 : 1000 * i * i * i * i * i * i * i * i, 0);
        display.add(id, i == 8 ? 1000ULL * 8 * 8 * 8 * 8 * 8 * 8 * 8 * 8 : 300 * i * i * i);
    }
    return display;
}

}  // namespace

TEST_CASE("progress: figures", "[downloader]") {
    CHECK(bytes_text(0) == "0 B");
    CHECK(bytes_text(999) == "999 B");
    CHECK(bytes_text(1000) == "1.0 KiB");
    CHECK(bytes_text(1023 * 1024) == "1.0 MiB");
    CHECK(bytes_text(432327885) == "412.3 MiB");
    CHECK(bytes_text(~0ULL) == "16.0 EiB");
    CHECK(rate_text(47815066, 1s) == "45.6 MiB/s");
    CHECK(rate_text(432327885, 610ms) == "676 MiB/s");
    CHECK(rate_text(1, 0s) == "0.0 B/s");
    CHECK(rate_text(5, -1s) == "0.0 B/s");
    CHECK(clock_text(9s) == "0:09");
    CHECK(clock_text(754s) == "12:34");
    CHECK(clock_text(3723s) == "1:02:03");
    for (std::uint64_t bytes = 1; bytes < 1ULL << 62; bytes += bytes / 7 + 1) {
        if (bytes_text(bytes).size() > 9) FAIL(bytes_text(bytes));
        if (rate_text(bytes, 1s).size() > 10) FAIL(rate_text(bytes, 1s));
    }
}

TEST_CASE("progress: names are fitted to a width", "[downloader]") {
    CHECK(fitted("a.iso", 8, false) == "a.iso   ");
    CHECK(fitted("a.iso", 5, false) == "a.iso");
    CHECK(fitted("debian-12.5.0.iso", 10, false) == "debian~iso");
    CHECK(fitted("debian-12.5.0.iso", 10, true) == "debian…iso");
    CHECK(fitted("\u6f22\u6f22\u6f22", 5, true) == "\u6f22…\u6f22");
    CHECK(fitted("caf\u00e9", 4, false) == "caf?");
    CHECK(fitted("a\nb", 3, true) == "a?b");
    for (const bool unicode : {false, true})
        for (std::size_t columns = 0; columns < 60; ++columns)
            for (const char* text : {"", "a", "\u6f22\u6f22\u6f22\u6f22", "a rather long name.txt"})
                CHECK(columns_of(fitted(text, columns, unicode)) == columns);
}

TEST_CASE("progress: bars and markers fill their width", "[downloader]") {
    CHECK(bar_text(0, 10, false) == "[--------]");
    CHECK(bar_text(0.5, 10, false) == "[####----]");
    CHECK(bar_text(1, 10, false) == "[########]");
    CHECK(bar_text(0.5, 5, true) == "██▌░░");
    CHECK(bar_text(1, 3, true) == "███");
    CHECK(marker_text(0ms, 8, false) == "[###---]");
    CHECK(marker_text(200ms, 8, false) == "[--###-]");
    CHECK(marker_text(300ms, 8, false) == "[---###]");
    CHECK(marker_text(400ms, 8, false) == "[--###-]");
    for (const bool unicode : {false, true})
        for (std::size_t columns = 0; columns < 100; ++columns)
            for (int i = -1; i <= 101; ++i) {
                const std::string bar = bar_text(i / 100.0, columns, unicode);
                const std::string marker = marker_text(i * 100ms, columns, unicode);
                if (columns_of(bar) != columns || columns_of(marker) != columns)
                    FAIL(bar << marker << columns);
            }
}

TEST_CASE("progress: never wider or higher than the terminal", "[downloader]") {
    for (const bool unicode : {false, true})
        for (const std::size_t rows : {0U, 1U, 2U, 3U, 5U, 10U, 11U, 12U, 50U})
            for (std::size_t columns = 1; columns <= 200; ++columns) {
                progress display = busy(progress_mode::bars);
                auto lines = lines_of(display.render(3s, terminal(columns, unicode, rows)));
                lines.erase(lines.begin());  // the failure, which stays
                const std::size_t lines_max = rows > 1 ? rows - 1 : 1;
                if (lines.size() != std::min<std::size_t>(10, lines_max))
                    FAIL(lines.size() << " lines on " << rows << " rows");
                for (const std::string& line : lines)
                    if (columns_of(line) > columns) FAIL("on " << columns << " columns: " << line);
                for (const std::string& line : lines)
                    for (const char c : line)
                        if (unicode ? c == '\x1b' : c < 0x20) FAIL("unsafe: " << line);
            }
}

TEST_CASE("progress: bars are drawn over those of last time", "[downloader]") {
    progress display(3, progress_mode::bars);
    const auto a = display.start("a.iso");
    const auto b = display.start("b.iso");
    display.expect(a, 3000, 1000);  // an earlier run has got a third
    display.render(0s, terminal(80));
    display.add(a, 500);
    const std::string first = display.render(1s, terminal(80));
    CHECK(lines_of(first)[0] ==
          "a.iso              [############-------------]  50%   1.5 KiB    500 B/s    0:03");
    CHECK(lines_of(first)[2] == "0/3 files  500 B  500 B/s");  // the third has no length yet
    CHECK(lines_of(first).size() == 3);

    lose(display, b, "b.iso");
    const std::string second = display.render(1s, terminal(80));
    CHECK_THAT(second, Catch::StartsWith("\x1b[3A\r\x1b[Jb.iso  failed: 404 Not Found\na.iso "));
    CHECK(lines_of(second).size() == 3);

    finish(display, a, "a.iso", 3000);
    const std::string third = display.render(2s, terminal(80));
    CHECK(third == "\x1b[2A\r\x1b[J2/3 files  1 failed  500 B  250 B/s\n");
    CHECK(display.finish(2s, terminal(80)) ==
          "\x1b[1A\r\x1b[J1 file, 500 B in 2.00 s: 0.5 files/s, 250 B/s, 1 failed, "
          "1 not finished\n  b.iso: 404 Not Found (http://host/b.iso)\n");
}

TEST_CASE("progress: a narrower window has wrapped the last lines", "[downloader]") {
    progress display(1, progress_mode::bars);
    display.start("a.iso");
    CHECK(lines_of(display.render(1s, terminal(80))).size() == 2);
    // A bar of 80 columns takes two rows of 40, the line of the total one.
    CHECK_THAT(display.render(1s, terminal(40)), Catch::StartsWith("\x1b[3A\r\x1b[J"));
    CHECK_THAT(display.render(1s, terminal(120)), Catch::StartsWith("\x1b[2A\r\x1b[J"));
}

TEST_CASE("progress: colours take no columns, and are left out if they are not wanted",
          "[downloader]") {
    progress display(1, progress_mode::bars);
    display.expect(display.start("a.iso"), 100, 50);
    screen colourful = terminal(80);
    colourful.colour = true;
    const std::string with = display.render(1s, colourful);
    CHECK_THAT(with, Catch::Contains("\x1b[36m["));
    CHECK(width_of(lines_of(with)[0]) == 80);
    CHECK_THAT(display.render(1s, terminal(80)), !Catch::Contains("\x1b[36m"));
    CHECK(width_of("\x1b[36m\u6f22a\x1b[0m") == 3);
}

TEST_CASE("progress: one line for each file where there is no terminal", "[downloader]") {
    progress display(4, progress_mode::lines);
    const auto a = display.start("a\x1b.iso");
    const auto b = display.start("b.iso");
    const auto c = display.start("c.iso");
    display.add(a, 12897485);
    display.note("b.iso: again\x1b");
    CHECK(display.render(100ms, terminal(80)) == "b.iso: again?\n");
    finish(display, a, "a\x1b.iso", 12897485, 270ms);
    lose(display, b, "b.iso");
    display.end(c, ended(ending::skipped, "c.iso", "is there already, complete"));
    CHECK(display.render(300ms, terminal(80)) ==
          "a?.iso  12.3 MiB  45.6 MiB/s\nb.iso  failed: 404 Not Found\n"
          "c.iso  is there already, complete\n");
    CHECK(display.render(300ms, terminal(80)) == "");
    CHECK(display.finish(1s, terminal(80)) ==
          "1 file, 12.3 MiB in 1.00 s: 1.0 files/s, 12.3 MiB/s, 1 failed, 1 there already, "
          "1 not finished\n  b.iso: 404 Not Found (http://host/b.iso)\n");
    CHECK(display.files_done() == 1);
    CHECK(display.files_failed() == 1);
}

TEST_CASE("progress: quiet speaks of failures alone", "[downloader]") {
    progress display = busy(progress_mode::quiet);
    display.note("not this");
    CHECK(display.render(3s, terminal(80)) == "lost.zip  failed: 404 Not Found\n");
    CHECK(display.finish(3s, terminal(80)) == "");
}

TEST_CASE("progress: the summary", "[downloader]") {
    progress display(200, progress_mode::lines);
    for (std::uint64_t i = 0; i < 200; ++i) {
        const auto id = display.start("f");
        display.add(id, i == 0 ? 432327885 - 199 * 1024 : 1024);
        finish(display, id, "f");
    }
    display.render(610ms, terminal(80));
    CHECK(display.finish(610ms, terminal(80)) ==
          "200 files, 412.3 MiB in 0.61 s: 328 files/s, 676 MiB/s, 0 failed\n");
    progress nothing(0, progress_mode::lines);
    CHECK(nothing.finish(0s, terminal(80)) ==
          "0 files, 0 B in 0.00 s: 0.0 files/s, 0.0 B/s, 0 failed\n");
    CHECK_THAT(nothing.finish(75s, terminal(80)), Catch::StartsWith("0 files, 0 B in 1:15: "));
    progress one(1, progress_mode::lines);  // its failure is told once
    lose(one, one.start("a"), "a");
    CHECK(one.finish(1s, terminal(80)) ==
          "a  failed: 404 Not Found\n"
          "0 files, 0 B in 1.00 s: 0.0 files/s, 0.0 B/s, 1 failed\n");
}

TEST_CASE("progress: the time that is left is told only if every length is known", "[downloader]") {
    progress display(2, progress_mode::bars);
    const auto left = [&](std::chrono::nanoseconds now) {
        const std::string line = lines_of(display.render(now, terminal(80))).back();
        const auto at = line.rfind("  ");
        return line.ends_with(" left") ? line.substr(at + 2) : "";
    };
    const auto a = display.start("a");
    display.expect(a, 2000, 0);
    CHECK(left(0s) == "");
    display.add(a, 500);
    CHECK(left(1s) == "");  // the second file has not begun
    const auto b = display.start("b");
    CHECK(left(2s) == "");  // its length is not known
    display.expect(b, 500, 0);
    CHECK(left(2500ms) == "0:10 left");  // 2000 bytes at 200 a second
    display.expect(b, std::nullopt, 0);
    CHECK(left(3s) == "");
    display.expect(b, 1ULL << 50, 0);
    CHECK(left(4s) == "");  // more than 100 h is no estimate
}

TEST_CASE("outcome: a line of JSON", "[downloader]") {
    outcome end = ended(ending::done, "a \"b\\\x01\xff", "", 3000, 1500ms);
    end.resumed_at = 1000;
    end.received = 2000;
    end.url = "http://h/";
    end.sha256 = "ab";
    CHECK(json_line(end, "dir") ==
          "{\"status\":\"done\",\"url\":\"http://h/\",\"file\":\"dir/a \\\"b\\\\\\u0001"
          "\xef\xbf\xbd\",\"bytes\":3000,\"received\":2000,\"resumed_at\":1000,\"seconds\":1.500,"
          "\"sha256\":\"ab\"}\n");
    outcome lost = ended(ending::failed, "", "404 Not Found");
    CHECK(json_line(lost, ".") ==
          "{\"status\":\"failed\",\"url\":\"http://host/\",\"bytes\":0,\"received\":0,"
          "\"resumed_at\":0,\"seconds\":1.000,\"reason\":\"404 Not Found\"}\n");
}

TEST_CASE("progress: Unicode only where the locale says UTF-8", "[downloader]") {
    CHECK(is_utf8_locale(nullptr, nullptr, "de_DE.UTF-8"));
    CHECK(is_utf8_locale(nullptr, "C.utf8", "C"));
    CHECK(is_utf8_locale("", "", "C.UTF-8"));
    CHECK_FALSE(is_utf8_locale("C", "C.utf8", "C.utf8"));
    CHECK_FALSE(is_utf8_locale(nullptr, nullptr, nullptr));
    CHECK_FALSE(is_utf8_locale(nullptr, nullptr, "de_DE.ISO-8859-1"));
}

TEST_CASE("progress: no bars on a terminal that cannot move its cursor", "[downloader]") {
    CHECK(moves_cursor("xterm-256color"));
    CHECK_FALSE(moves_cursor("dumb"));
    CHECK_FALSE(moves_cursor(""));
    CHECK_FALSE(moves_cursor(nullptr));
}
