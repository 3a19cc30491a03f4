// SPDX-License-Identifier: MIT
// The input of rondo-get: file names, list files, the command line. Its display is tested in
// test_downloader_progress.cpp, its bookkeeping in test_downloader_state.cpp.
#include <unistd.h>

#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../../examples/downloader/list.hpp"
#include "../../examples/downloader/names.hpp"
#include "../../examples/downloader/options.hpp"
#include "../../examples/downloader/text.hpp"
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
    words.insert(words.begin(), "rondo-get");
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
    CHECK(names.claim("x.iso") == "x.iso");
    CHECK(names.claim("x.iso") == "x.iso.2");
    CHECK(names.claim("x.iso.3") == "x.iso.3");
    CHECK(names.claim("x.iso") == "x.iso.4");
    CHECK(names.claim("x.iso.2") == "x.iso.2.2");
    std::set<std::string> all;
    for (int i = 0; i < 3000; ++i) all.insert(names.claim(i % 3 == 0 ? "y.2" : "y"));
    CHECK(all.size() == 3000);
}

TEST_CASE("found names: what a folder had, or may have had", "[downloader]") {
    const found_names unknown;
    CHECK(unknown.may_have("x"));
    CHECK(unknown.may_have_parts());
    const found_names none(std::vector<std::string>{});
    CHECK_FALSE(none.may_have("x"));
    CHECK_FALSE(none.may_have_parts());
    const found_names some(std::vector<std::string>{".", "..", "a", "b.part.2"});
    CHECK(some.may_have("a"));
    CHECK_FALSE(some.may_have("b"));
    CHECK(some.may_have_parts());
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

TEST_CASE("list file: one file a line, comments and blank lines skipped", "[downloader]") {
    const auto urls = [](std::string_view text) {
        std::string all;
        for (const wanted_file& file : parse_list(text))
            for (const std::string& url : file.urls)
                all += url + (&url == &file.urls.back() ? "\n" : "|");
        return all;
    };
    CHECK(urls("") == "");
    CHECK(urls("\n\r\n  \t\n# x\n  # y\r\n") == "");
    CHECK(urls("http://a") == "http://a\n");
    CHECK(urls("\xef\xbb\xbfhttp://a\r\n\thttp://b#c \nhttp://d") ==
          "http://a\nhttp://b#c\nhttp://d\n");
}

TEST_CASE("list file: mirrors, names and sums", "[downloader]") {
    const std::string sum(64, 'A');
    const auto files =
        parse_list("http://a/x|https://b/x|y http://c/x out=\"a b.iso\" sha256=" + sum +
                   "\nhttp://d/\n  out=later\n\tchecksum=sha-256=" + sum + "\n");
    REQUIRE(files.size() == 2);
    CHECK(files[0].urls == std::vector<std::string>{"http://a/x", "https://b/x|y", "http://c/x"});
    CHECK(files[0].out == "a b.iso");
    CHECK(files[0].sha256 == std::string(64, 'a'));
    CHECK(files[1].urls == std::vector<std::string>{"http://d/"});
    CHECK(files[1].out == "later");
    CHECK(files[1].sha256 == std::string(64, 'a'));

    CHECK_THROWS_WITH(parse_list("\nhttp://a out=x/y"),
                      "line 2: out= is the name of a file, without a folder");
    CHECK_THROWS_WITH(parse_list("http://a sha256=12"),
                      "line 1: sha256= has 64 hexadecimal digits");
    CHECK_THROWS_WITH(parse_list("http://a b"),
                      "line 1: \"b\" is neither a URL of a mirror nor out= nor sha256=");
}

TEST_CASE("list file: read from a file", "[downloader]") {
    std::string path = "test_downloader_XXXXXX";
    const int fd = mkstemp(path.data());
    REQUIRE(fd >= 0);
    std::FILE* file = fdopen(fd, "w");
    std::fputs("# files\nhttp://a\nhttp://b x\n", file);
    std::fclose(file);
    CHECK_THROWS_WITH(read_list_file(path),
                      path + ": line 3: \"x\" is neither a URL of a mirror nor out= nor sha256=");
    std::remove(path.c_str());
    CHECK_THROWS_WITH(read_list_file(path), "open " + path + ": No such file or directory");
    CHECK_THROWS_WITH(read_list_file("/"), "read /: Is a directory");
}

TEST_CASE("options: what the user asks for", "[downloader]") {
    const options plain = parse({"http://a", "http://b"});
    CHECK(plain.jobs == 16);
    CHECK(plain.per_host == 6);
    CHECK(plain.folder == ".");
    CHECK(plain.progress);
    CHECK(plain.resume);
    CHECK_FALSE(plain.quiet);
    CHECK_FALSE(plain.split);
    CHECK(plain.taken == when_taken::keep);
    CHECK(plain.urls == std::vector<std::string>{"http://a", "http://b"});

    const options all = parse({"http://a",
                               "-j4",
                               "-d",
                               "out",
                               "-i",
                               "x",
                               "--input=-",
                               "--no-progress",
                               "--quiet",
                               "--overwrite",
                               "-s8",
                               "--limit-rate=1.5M",
                               "-t",
                               "0.5",
                               "--low-speed",
                               "2K:5m",
                               "--no-continue",
                               "-H",
                               "A: b",
                               "-u",
                               "me:a:b",
                               "--netrc",
                               "--",
                               "-z"});
    CHECK(all.jobs == 4);
    CHECK(all.folder == "out");
    CHECK(all.list_files == std::vector<std::string>{"x", "-"});
    CHECK_FALSE(all.progress);
    CHECK(all.quiet);
    CHECK(all.taken == when_taken::overwrite);
    CHECK(all.split == 8U);
    CHECK(all.rate_max == 1536 * 1024);
    CHECK(all.timeout.count() == 500);
    CHECK(all.low_speed == 2048);
    CHECK(all.low_speed_time.count() == 300'000);
    CHECK_FALSE(all.resume);
    CHECK(all.headers.at(0) == std::pair<std::string, std::string>("A", " b"));
    CHECK(all.user == std::pair<std::string, std::string>("me", "a:b"));
    CHECK(all.netrc == "");
    CHECK(all.urls == std::vector<std::string>{"http://a", "-z"});

    CHECK(parse({"--jobs", "1024", "-i", "x"}).jobs == 1024);
    CHECK(parse({"-h"}).help);
    CHECK(parse({"--help", "-j", "x"}).help);
    CHECK(parse({"-V"}).version_only);
    CHECK(parse({"--out=x", "u"}).output == "x");  // getopt_long's abbreviations
}

TEST_CASE("options: what cannot be meant is refused with the reason", "[downloader]") {
    CHECK(usage_problem({}) == "no URL and no list of URLs is given");
    CHECK(usage_problem({"-q"}) == "no URL and no list of URLs is given");
    CHECK(usage_problem({"-z", "u"}) == "-z: no such option");
    CHECK(usage_problem({"--speed", "u"}) ==
          "--speed: no such option, or an abbreviation of several");
    CHECK(usage_problem({"--quiet=1", "u"}) == "--quiet=1: takes no value");
    CHECK(usage_problem({"--no-progress", "-zq"}) == "-z: no such option");
    CHECK(usage_problem({"u", "-o"}) == "--output: a value is missing");
    CHECK(usage_problem({"u", "--output"}) == "--output: a value is missing");
    CHECK(usage_problem({"u", "-o", ""}) == "--output: the value is empty");
    CHECK(usage_problem({"u", "v", "-o", "x"}) ==
          "--output: names one file, but there are several; a list has out=");
    for (const char* output : {"x/", ".", "a/.."})
        CHECK(usage_problem({"u", "-o", output}) == "--output: is a file; --dir names a folder");
    CHECK_THAT(usage_problem({"u", "-o", "-"}), Catch::StartsWith("--output: a file is needed"));
    CHECK(usage_problem({"u", "--sha256", "12"}) ==
          "--sha256: \"12\" is not 64 hexadecimal digits");
    CHECK(usage_problem({"u", "-H", "a"}) == "--header: a header is NAME: VALUE");
    CHECK(usage_problem({"u", "-H", "a: b\r\nc: d"}) == "--header: a header is NAME: VALUE");
    CHECK(usage_problem({"u", "-l", "fast"}) ==
          "--limit-rate: \"fast\" is not a number of bytes such as 500K or 1.5M");
    for (const char* jobs : {"", "0", "1025", "-1", "+1", "1x", " 1", "99999999999999999999"})
        CHECK(usage_problem({"u", "-j", jobs}) ==
              "--jobs: \"" + std::string(jobs) + "\" is not a number from 1 to 1024");
}

TEST_CASE("options: the help has all of them on one screen", "[downloader]") {
    const std::string_view help = help_text();
    std::size_t lines = 0;
    for (std::string_view rest = help; !rest.empty(); ++lines) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        CHECK(line.size() <= 80);
        rest.remove_prefix(line.size() + 1);
    }
    CHECK(lines <= 24);
    for (const std::string_view name : option_names())
        CHECK_THAT(std::string(help), Catch::Contains("--" + std::string(name)));
}

TEST_CASE("options: the command that continues has no secret", "[downloader]") {
    std::vector<std::string> words = {"rondo-get",
                                      "-d",
                                      "my files",
                                      "-u",
                                      "me:secret",
                                      "--user=me:secret",
                                      "-Hcookie: secret",
                                      "--header",
                                      "authorization: secret",
                                      "http://me:secret@a/x|http://b/",
                                      "-x",
                                      "http://me:secret@proxy"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    const std::string command = resume_command(static_cast<int>(words.size()), argv.data());
    CHECK(command ==
          "rondo-get -d 'my files' -u me:... --user=me:... -Hcookie:... --header "
          "authorization:... -x http://proxy/ 'http://a/x|http://b/'");
}

TEST_CASE("options: no way to write an option tells its secret", "[downloader]") {
    const std::vector<std::string> ways[] = {
        {"--head", "A: secret"}, {"--hea=A: secret"},        {"-qvu", "me:secret"},
        {"-kume:secret"},        {"-H", "C: a://b; secret"}, {"-u", "me:a://secret"},
        {"-x", "me:secret@h:1"}, {"http://me:x|secret@h/"},  {"http://me:a/secret@h/"}};
    for (const auto& way : ways) {
        std::vector<std::string> words = {"rondo-get"};
        words.insert(words.end(), way.begin(), way.end());
        words.emplace_back("http://a/");
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        const std::string command = resume_command(static_cast<int>(words.size()), argv.data());
        CHECK(command.find("secret") == std::string::npos);
        CHECK(command.ends_with(" http://a/"));
    }
}

TEST_CASE("text: sizes, times, sums, words of a shell", "[downloader]") {
    CHECK(parse_size("0") == 0U);
    CHECK(parse_size("1500") == 1500U);
    CHECK(parse_size("64k") == 65536U);
    CHECK(parse_size("1.5MiB") == 1572864U);
    CHECK(parse_size("2gb") == 2147483648U);
    for (const char* text : {"", "-1", "k", "1x", "1kk", ".5", "1e3", "1kib2", "9999999999P"})
        CHECK_FALSE(parse_size(text));
    CHECK(parse_seconds("30")->count() == 30'000);
    CHECK(parse_seconds("250ms")->count() == 250);
    CHECK(parse_seconds("5m")->count() == 300'000);
    for (const char* text : {"", "-1", "1h", "x", "999999999"}) CHECK_FALSE(parse_seconds(text));
    CHECK(parse_sha256(std::string(64, 'F')) == std::string(64, 'f'));
    CHECK_FALSE(parse_sha256(std::string(63, 'f')));
    CHECK_FALSE(parse_sha256(std::string(64, 'g')));
    CHECK(shell_word("a-b.c") == "a-b.c");
    CHECK(shell_word("") == "''");
    CHECK(shell_word("it's") == "'it'\\''s'");
    CHECK(without_password("http://u:p@h/x") == "http://h/x");
    CHECK(shell_word("a\033[1m\xff'") == "$'a\\033[1m\\377\\047'");
    for (const char* text : {"gopher ://u:p@h/x", "gopher ://u:p/q?@h/x"})
        CHECK(without_password(text) == "gopher ://h/x");
    CHECK(without_password("no url") == "no url");
}
