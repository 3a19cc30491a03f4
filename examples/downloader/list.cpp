// SPDX-License-Identifier: MIT
// List files: words of a line, and what each means.
#include "list.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include <fmt/core.h>

#include "text.hpp"

namespace downloader {

namespace {

constexpr std::size_t list_bytes_max = 64 << 20;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool begins_url(std::string_view text) {
    return text.starts_with("http://") || text.starts_with("https://");
}

// The next word and the blanks before it. `out="a b"` is one word; the quotes are left out.
std::string next_word(std::string_view& line) {
    while (!line.empty() && is_blank(line[0])) line.remove_prefix(1);
    bool is_quoted = false;
    std::size_t size = 0;
    for (; size < line.size() && (is_quoted || !is_blank(line[size])); ++size)
        if (line[size] == '"') is_quoted = !is_quoted;
    std::string word(line.substr(0, size));
    std::erase(word, '"');
    line.remove_prefix(size);
    return word;
}

// A word after the first URL.
void add_word(wanted_file& file, const std::string& word) {
    const std::string_view text = word;
    if (text.starts_with("out=")) {
        file.out = text.substr(4);
        if (file.out.empty() || file.out.find('/') != std::string::npos)
            throw list_error("out= is the name of a file, without a folder");
    } else if (text.starts_with("sha256=") || text.starts_with("checksum=sha-256=")) {
        const auto sum = parse_sha256(text.substr(text.rfind('=') + 1));
        if (!sum) throw list_error("sha256= has 64 hexadecimal digits");
        file.sha256 = *sum;
    } else if (begins_url(text)) {
        for (std::string& url : split_mirrors(text)) file.urls.push_back(std::move(url));
    } else {
        throw list_error(fmt::format("\"{}\" is neither a URL of a mirror nor out= nor sha256=",
                                     printable(text, 100)));
    }
}

void add_line(std::vector<wanted_file>& files, std::string_view line) {
    const bool continues = is_blank(line[0]) && !files.empty();
    std::string word = next_word(line);
    if (word.empty() || word[0] == '#') return;
    // A URL that is indented is a file of its own, whatever its scheme.
    const bool is_file = !continues || word.find("://") != std::string::npos;
    if (is_file) {
        files.emplace_back();
        files.back().urls = split_mirrors(word);
        word = next_word(line);
    }
    for (; !word.empty(); word = next_word(line)) add_word(files.back(), word);
}

}  // namespace

std::vector<std::string> split_mirrors(std::string_view text) {
    std::vector<std::string> urls;
    for (std::size_t bar = text.find('|'); bar != std::string_view::npos;) {
        if (begins_url(text.substr(bar + 1))) {
            urls.emplace_back(text.substr(0, bar));
            text.remove_prefix(bar + 1);
            bar = 0;
        } else {
            ++bar;
        }
        bar = text.find('|', bar);
    }
    urls.emplace_back(text);
    return urls;
}

std::vector<wanted_file> parse_list(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    std::vector<wanted_file> files;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() + (line.size() < text.size() ? 1 : 0));
        if (line.empty()) continue;
        try {
            add_line(files, line);
        } catch (const list_error& error) {
            throw list_error(fmt::format("line {}: {}", number, error.what()));
        }
    }
    return files;
}

std::vector<wanted_file> read_list_file(const std::string& path) {
    struct closer {
        void operator()(std::FILE* file) const {
            if (file != stdin) std::fclose(file);
        }
    };
    const std::unique_ptr<std::FILE, closer> file(path == "-" ? stdin
                                                              : std::fopen(path.c_str(), "re"));
    const std::string name = path == "-" ? "the standard input" : printable(path);
    if (!file) throw std::system_error(errno, std::generic_category(), "open " + name);

    std::string text;
    std::array<char, 65536> block;
    while (const auto size = std::fread(block.data(), 1, block.size(), file.get())) {
        text.append(block.data(), size);
        if (text.size() > list_bytes_max)
            throw list_error(name + ": a list file of more than 64 MiB");
    }
    if (std::ferror(file.get()))
        throw std::system_error(errno, std::generic_category(), "read " + name);
    try {
        return parse_list(text);
    } catch (const list_error& error) {
        throw list_error(name + ": " + error.what());
    }
}

}  // namespace downloader
