// SPDX-License-Identifier: MIT
// The parts of the downloader that need no event loop: file names, list files and the command line.
// Its display has a test of its own, test_downloader_progress.cpp. URLs are tested in test_url.cpp.
#include <unistd.h>

#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../../examples/downloader/names.hpp"
#include "../../examples/downloader/options.hpp"
#include "support/catch.hpp"

using namespace downloader;

namespace {

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

}  // namespace

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
