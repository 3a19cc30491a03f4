// SPDX-License-Identifier: MIT
// The rest of the downloader that needs no event loop: URLs, file names, list files, the command
// line, and the progress display at every width. Its HTTP engine has a test of its own,
// test_downloader_http1.cpp.
#include <unistd.h>

#include <cstdio>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../examples/downloader/names.hpp"
#include "../examples/downloader/options.hpp"
#include "../examples/downloader/progress.hpp"
#include "../examples/downloader/url.hpp"
#include "catch.hpp"

using namespace downloader;
using namespace std::chrono_literals;

namespace {

std::string url_error(std::string_view text) {
    try {
        (void)url(text);
    } catch (const http_error& error) {
        return error.what();
    }
    return "";
}

bool is_valid_utf8(std::string_view text) {
    while (!text.empty()) {
        const code_point c = first_code_point(text);
        if (!c.valid) return false;
        text.remove_prefix(c.size);
    }
    return true;
}

bool is_safe_name(const std::string& name) {
    if (name.empty() || name.size() > name_bytes_max || name[0] == '.' || name[0] == '-')
        return false;
    for (const char c : name)
        if (c == '/' || c == '\\' || (c >= 0 && c < 0x20) || c == 0x7f) return false;
    return is_valid_utf8(name);
}

options parse(std::vector<std::string> words) {
    words.insert(words.begin(), "downloader");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    return parse_options(static_cast<int>(words.size()), argv.data());
}

std::string usage_problem(const std::vector<std::string>& words) {
    try {
        parse(words);
    } catch (const usage_error& error) {
        return error.what();
    }
    return "";
}

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

// Eleven of twenty files: one done, one failed, nine active with names and lengths of all kinds.
progress busy(progress_mode mode) {
    progress display(20, mode);
    const std::string wide = "\u6f22\u6f22\u6f22\u6f22\u6f22\u6f22.txt";
    const std::vector<std::string> names = {
        "a",           "debian-12.5.0-amd64-netinst.iso", wide,         "empty",
        "unknown.bin", "caf\u00e9-\u00fc\u00f6.tar.gz",   "esc\x1b[2J", "bad\xff\xfe",
        "full"};
    display.done(display.start("gone", 0ns), 1s);
    display.failed(display.start("lost.zip", 0ns), "404 Not Found");
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto id = display.start(names[i], 1s);
        if (i != 4) display.expect(id, i == 3 ? 0 : 1000 * i * i * i * i * i * i * i * i);
        display.add(id, i == 8 ? 1000ULL * 8 * 8 * 8 * 8 * 8 * 8 * 8 * 8 : 300 * i * i * i);
    }
    return display;
}

}  // namespace

TEST_CASE("url: its parts are found", "[downloader]") {
    struct row {
        const char* text;
        const char* host;
        int port;
        const char* target;
        const char* authority;
    };
    const std::vector<row> rows = {
        {"http://a.org", "a.org", 80, "/", "a.org"},
        {"HTTP://a.org:80/", "a.org", 80, "/", "a.org"},
        {"http://a.org:/x", "a.org", 80, "/x", "a.org"},
        {"http://a.org?q=1", "a.org", 80, "/?q=1", "a.org"},
        {"http://a.org#top", "a.org", 80, "/", "a.org"},
        {"http://a_b.org:8080/x/y?z#f?g", "a_b.org", 8080, "/x/y?z", "a_b.org:8080"},
        {"http://127.0.0.1:65535/a@b:c", "127.0.0.1", 65535, "/a@b:c", "127.0.0.1:65535"},
        {"http://[::1]/x", "::1", 80, "/x", "[::1]"},
        {"http://[::ffff:1.2.3.4]:81?x", "::ffff:1.2.3.4", 81, "/?x", "[::ffff:1.2.3.4]:81"},
        {"http://a/\xc3\xa4|{%20}%", "a", 80, "/%C3%A4%7C%7B%20%7D%", "a"},
        {"http://3com.org./", "3com.org.", 80, "/", "3com.org."},
    };
    for (const row& r : rows) {
        INFO(r.text);
        const url parsed{std::string_view(r.text)};
        CHECK(parsed.scheme == "http");
        CHECK(parsed.host == r.host);
        CHECK(parsed.port == r.port);
        CHECK(parsed.target == r.target);
        CHECK(parsed.authority() == r.authority);
    }
}

TEST_CASE("url: what is not plain http is refused with the reason", "[downloader]") {
    const std::vector<std::pair<std::string, const char*>> rows = {
        {"", "starts with http://"},
        {"a.org/x", "starts with http://"},
        {"http:/a.org", "starts with http://"},
        {"https://a.org", "https is not supported yet: only http is"},
        {"HTTPS://a.org", "https is not supported yet"},
        {"ftp://a.org", "ftp is not supported"},
        {"://a.org", "is not supported"},
        {"http://", "names no host"},
        {"http:///x", "names no host"},
        {"http://:80/", "names no host"},
        {"http://u:secret@a.org/", "a user name or password in the URL is not supported"},
        {"http://a.org\\@b.org/", "a user name or password"},
        {"http://a b/", "space at position 9"},
        {"http://a/b\r\nX: y", "control character at position 11"},
        {std::string("http://a\0.org/", 14), "control character at position 9"},
        {"http://a.org:0/", "\"0\" is not a port"},
        {"http://a.org:65536/", "not a port"},
        {"http://a.org:+80/", "not a port"},
        {"http://a.org:80:80/", "not a port"},
        {"http://[::1/", "not an IPv6 address"},
        {"http://[]/", "not an IPv6 address"},
        {"http://[1.2.3.4]/", "not an IPv6 address"},
        {"http://[::1%25eth0]/", "not an IPv6 address"},
        {"http://[::1]x/", "only a port may follow"},
        {"http://2130706433/", "not an IPv4 address"},
        {"http://0x7f.1/", "not an IPv4 address"},
        {"http://127.1/", "not an IPv4 address"},
        {"http://0177.0.0.1/", "not an IPv4 address"},
        {"http://1.2.3.4./", "not an IPv4 address"},
        {"http://a.0x10/", "not an IPv4 address"},
        {"http://a%2eorg/", "not a host name"},
        {"http://\xc3\xa4.org/", "not a host name"},
        {"http://" + std::string(254, 'a') + "/", "longer than 253"},
    };
    for (const auto& [text, reason] : rows) {
        INFO(text);
        CHECK_THAT(url_error(text), Catch::Contains(reason));
        CHECK(url_error(text).find("secret") == std::string::npos);
    }
}

TEST_CASE("file name: the last segment of the path, decoded once", "[downloader]") {
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"/", "index.html"},
        {"", "index.html"},
        {"/a/b/", "index.html"},
        {"/?q=/x", "index.html"},
        {"/a/b.iso?x=/y#z", "b.iso"},
        {"plain", "plain"},
        {"/a%20b%2Bc+d", "a b+c+d"},
        {"/%C3%A4.txt", "\xc3\xa4.txt"},
        {"/100%", "100%"},
        {"/%4", "%4"},
        {"/%zz%4g", "%zz%4g"},
        {"/%252e%252e", "%2e%2e"},
        {"/.", "_"},
        {"/..", "_."},
        {"/%2e%2E", "_."},
        {"/.bashrc", "_bashrc"},
        {"/-rf", "_rf"},
        {"/..%2f..%2fetc%2fpasswd", "_._.._etc_passwd"},
        {"/..%5c..%5cx", "_._.._x"},
        {"/a%00b%0a%1b[2Jc%7f", "a_b__[2Jc_"},
        {"/\xff\xc3", "__"},
        {"/%c0%af%ed%a0%80", "_____"},
        {"/%c2%9bm", "_m"},
        {"/a%e2%80%aegpj.exe", "a_gpj.exe"},
    };
    for (const auto& [target, name] : rows) {
        INFO(target);
        CHECK(file_name(target) == name);
        CHECK(is_safe_name(file_name(target)));
    }
}

TEST_CASE("file name: safe for every byte, raw and escaped, at every place", "[downloader]") {
    for (unsigned value = 0; value < 256; ++value) {
        const std::string raw(1, static_cast<char>(value));
        constexpr std::string_view digits = "0123456789abcdef";
        const std::string escaped = {'%', digits[value / 16], digits[value % 16]};
        for (const std::string& byte : {raw, escaped})
            for (const std::string& target :
                 {"/" + byte, "/" + byte + byte, "/a" + byte + "b", "/a" + byte, byte,
                  "/\xe2\x82" + byte, "/%f0%9f" + byte + byte}) {
                INFO("byte " << value << " in " << target);
                if (!is_safe_name(file_name(target))) FAIL(file_name(target));
            }
    }
}

TEST_CASE("file name: a long one keeps its extension and whole characters", "[downloader]") {
    const std::string cut = file_name("/" + std::string(5000, 'x') + ".iso");
    CHECK(cut == std::string(196, 'x') + ".iso");
    CHECK(file_name("/" + std::string(200, 'x')).size() == 200);
    CHECK(file_name("/x." + std::string(300, 'y')).size() == 200);
    for (std::size_t i = 0; i < 8; ++i) {
        std::string target = "/" + std::string(i, 'x');
        for (int k = 0; k < 100; ++k) target += "\xf0\x9f\x98\x80";
        CHECK(is_safe_name(file_name(target)));
        CHECK(file_name(target).size() > 196);
    }
}

TEST_CASE("file name: no two of a list are equal", "[downloader]") {
    file_names names;
    CHECK(names.claim("/a/x.iso") == "x.iso");
    CHECK(names.claim("/b/x.iso") == "x.iso.2");
    CHECK(names.claim("/x.iso.3") == "x.iso.3");
    CHECK(names.claim("/c/x.iso") == "x.iso.4");
    CHECK(names.claim("/x.iso.2") == "x.iso.2.2");
    std::set<std::string> all;
    for (int i = 0; i < 3000; ++i) all.insert(names.claim(i % 3 == 0 ? "/y.2" : "/y"));
    CHECK(all.size() == 3000);
}

TEST_CASE("printable: nothing that commands a terminal is left", "[downloader]") {
    CHECK(printable("plain \xc3\xa4 \u6f22") == "plain \xc3\xa4 \u6f22");
    CHECK(printable("\x1b]0;x\x07\n\x7f\xc2\x9b\xff\xe2\x80\xae") == "?]0;x??????");
    CHECK(printable("ab\u00e4", 3) == "ab");
    for (int value = 0; value < 256; ++value) {
        const std::string text = "a" + std::string(1, static_cast<char>(value)) + "b";
        CHECK(is_valid_utf8(printable(text)));
    }
}

TEST_CASE("list file: one URL a line, comments and blank lines skipped", "[downloader]") {
    using list = std::vector<std::string>;
    CHECK(parse_list("") == list{});
    CHECK(parse_list("\n\r\n  \t\n# x\n  # y\r\n") == list{});
    CHECK(parse_list("http://a") == list{"http://a"});
    CHECK(parse_list("\xef\xbb\xbfhttp://a\r\n\thttp://b#c \nhttp://d") ==
          list{"http://a", "http://b#c", "http://d"});

    std::string path = "test_downloader_XXXXXX";
    const int fd = mkstemp(path.data());
    REQUIRE(fd >= 0);
    std::FILE* file = fdopen(fd, "w");
    std::fputs("# files\nhttp://a\nhttp://b\n", file);
    std::fclose(file);
    CHECK(read_list_file(path) == list{"http://a", "http://b"});
    std::remove(path.c_str());
    CHECK_THROWS_WITH(read_list_file(path), "open " + path + ": No such file or directory");
    CHECK_THROWS_WITH(read_list_file("/"), "read /: Is a directory");
}

TEST_CASE("options: what the user asks for", "[downloader]") {
    const options plain = parse({"http://a", "http://b"});
    CHECK(plain.jobs == 16);
    CHECK(plain.folder == ".");
    CHECK(plain.progress);
    CHECK_FALSE(plain.quiet);
    CHECK_FALSE(plain.force);
    CHECK(plain.urls == std::vector<std::string>{"http://a", "http://b"});

    const options all = parse({"http://a", "-j4", "-o", "out", "-i", "x", "--input=-",
                               "--no-progress", "--quiet", "-f", "--", "-z"});
    CHECK(all.jobs == 4);
    CHECK(all.folder == "out");
    CHECK(all.list_files == std::vector<std::string>{"x", "-"});
    CHECK_FALSE(all.progress);
    CHECK(all.quiet);
    CHECK(all.force);
    CHECK(all.urls == std::vector<std::string>{"http://a", "-z"});

    CHECK(parse({"--jobs", "1024", "-i", "x"}).jobs == 1024);
    CHECK(parse({"-h"}).help);
    CHECK(parse({"--help", "-j", "x"}).help);
    CHECK_THAT(std::string(help_text()), Catch::StartsWith("usage: downloader [-j N]"));
}

TEST_CASE("options: what cannot be meant is refused with the reason", "[downloader]") {
    CHECK(usage_problem({}) == "no URL and no list file given");
    CHECK(usage_problem({"-q"}) == "no URL and no list file given");
    CHECK(usage_problem({"-x", "u"}) == "-x: no such option");
    CHECK(usage_problem({"--speed", "u"}) == "--speed: no such option");
    CHECK(usage_problem({"--quiet=1", "u"}) == "--quiet=1: takes no argument");
    CHECK(usage_problem({"--no-progress", "-xq"}) == "-x: no such option");
    CHECK(usage_problem({"u", "-o"}) == "-o: an argument is missing");
    CHECK(usage_problem({"u", "--output"}) == "-o: an argument is missing");
    CHECK(usage_problem({"u", "-o", ""}) == "-o: the name is empty");
    for (const char* jobs : {"", "0", "1025", "-1", "+1", "1x", " 1", "99999999999999999999"})
        CHECK(usage_problem({"u", "-j", jobs}) ==
              "-j: \"" + std::string(jobs) + "\" is not a number from 1 to 1024");
}

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
    const auto a = display.start("a.iso", 0s);
    const auto b = display.start("b.iso", 0s);
    display.expect(a, 2000);
    display.add(a, 1000);
    const std::string first = display.render(1s, terminal(80));
    CHECK(lines_of(first)[0] ==
          "a.iso                 [###############---------------]  50%   1.0 KiB  1.0 KiB/s");
    CHECK(lines_of(first).size() == 3);
    CHECK(first.find('\x1b') == std::string::npos);

    display.failed(b, "404 Not Found");
    const std::string second = display.render(1s, terminal(80));
    CHECK_THAT(second, Catch::StartsWith("\x1b[3A\r\x1b[Jb.iso  failed: 404 Not Found\na.iso "));
    CHECK(lines_of(second).size() == 3);

    display.done(a, 2s);
    const std::string third = display.render(2s, terminal(80));
    CHECK(third == "\x1b[2A\r\x1b[J2/3 files  1 failed  1.0 KiB  500 B/s  ETA 0:01\n");
    CHECK(display.finish(2s) ==
          "\x1b[1A\r\x1b[J1 file, 1.0 KiB in 2.00 s: 0.5 files/s, 500 B/s, 1 failed, "
          "1 not finished\n");
}

TEST_CASE("progress: one line for each file where there is no terminal", "[downloader]") {
    progress display(3, progress_mode::lines);
    const auto a = display.start("a\x1b.iso", 0s);
    const auto b = display.start("b.iso", 0s);
    display.add(a, 12897485);
    CHECK(display.render(100ms, terminal(80)) == "");
    display.done(a, 270ms);
    display.failed(b, "connect\n refused");
    display.failed("http://\x1b", "not a URL");
    CHECK(display.render(300ms, terminal(80)) ==
          "a?.iso  12.3 MiB  45.6 MiB/s\nb.iso  failed: connect? refused\n"
          "http://?  failed: not a URL\n");
    CHECK(display.render(300ms, terminal(80)) == "");
    CHECK(display.finish(1s) == "1 file, 12.3 MiB in 1.00 s: 1.0 files/s, 12.3 MiB/s, 2 failed\n");
    CHECK(display.files_done() == 1);
    CHECK(display.files_failed() == 2);
}

TEST_CASE("progress: quiet speaks of failures alone", "[downloader]") {
    progress display = busy(progress_mode::quiet);
    CHECK(display.render(3s, terminal(80)) == "lost.zip  failed: 404 Not Found\n");
    CHECK(display.finish(3s) == "");
}

TEST_CASE("progress: the summary", "[downloader]") {
    progress display(200, progress_mode::lines);
    for (std::uint64_t i = 0; i < 200; ++i) {
        const auto id = display.start("f", 0s);
        display.add(id, i == 0 ? 432327885 - 199 * 1024 : 1024);
        display.done(id, 610ms);
    }
    display.render(610ms, terminal(80));
    CHECK(display.finish(610ms) ==
          "200 files, 412.3 MiB in 0.61 s: 328 files/s, 676 MiB/s, 0 failed\n");
    progress nothing(0, progress_mode::lines);
    CHECK(nothing.finish(0s) == "0 files, 0 B in 0.00 s: 0.0 files/s, 0.0 B/s, 0 failed\n");
    CHECK_THAT(nothing.finish(75s), Catch::StartsWith("0 files, 0 B in 1:15: "));
}

TEST_CASE("progress: the time that is left", "[downloader]") {
    progress display(4, progress_mode::bars);
    const auto left = [&](std::chrono::nanoseconds now) {
        const std::string line = lines_of(display.render(now, terminal(80))).back();
        const auto at = line.find("ETA ");
        return at == std::string::npos ? "" : line.substr(at + 4);
    };
    CHECK(left(10s) == "");
    const auto a = display.start("a", 0s);
    display.expect(a, 1000);
    display.add(a, 500);
    CHECK(left(10s) == "1:10");  // half a file of four took 10 s
    display.add(a, 500);
    display.done(a, 10s);
    CHECK(left(10s) == "0:30");
    for (int i = 0; i < 3; ++i) display.expect(display.start("b", 10s), 100);
    CHECK(left(10s) == "0:03");  // all lengths known: 300 bytes at 100 a second
    CHECK(left(400h) == "");     // more than 100 h is no estimate
}

TEST_CASE("progress: Unicode only where the locale says UTF-8", "[downloader]") {
    CHECK(is_utf8_locale(nullptr, nullptr, "de_DE.UTF-8"));
    CHECK(is_utf8_locale(nullptr, "C.utf8", "C"));
    CHECK(is_utf8_locale("", "", "C.UTF-8"));
    CHECK_FALSE(is_utf8_locale("C", "C.utf8", "C.utf8"));
    CHECK_FALSE(is_utf8_locale(nullptr, nullptr, nullptr));
    CHECK_FALSE(is_utf8_locale(nullptr, nullptr, "de_DE.ISO-8859-1"));
}
