// SPDX-License-Identifier: MIT
// The text of --help, and the command that is printed after Ctrl-C.
#include "list.hpp"
#include "options.hpp"
#include "text.hpp"

namespace downloader {

namespace {

/// The value without its secret: the part up to the colon, or the URL without the password.
std::string masked(const secret_value& secret) {
    const std::string_view value = secret.at;
    if (!secret.is_url) return std::string(value.substr(0, value.find(':'))) + ":...";
    if (value.find("://") != value.npos) return without_password(value);
    return std::string(value.substr(value.rfind('@') + 1));  // npos + 1 is 0
}

/// A URL, or several of them joined by '|', without passwords. Anything else as it stands.
std::string masked_urls(std::string_view text) {
    std::string result;
    for (const std::string& one : split_mirrors(text)) {
        const bool has_user = one.find("://") != one.npos && one.find('@') != one.npos;
        if (!result.empty()) result += '|';
        result += has_user ? without_password(one) : one;
    }
    return result;
}

}  // namespace

std::string resume_command(int argc, char** argv) {
    const std::vector<secret_value> secrets = secret_values(argc, argv);
    std::string command = "rondo-get";
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        std::string shown = masked_urls(word);
        for (const secret_value& secret : secrets)
            if (secret.at >= word.data() && secret.at <= word.data() + word.size())
                shown = std::string(word.data(), secret.at) + masked(secret);
        command += " " + shell_word(shown);
    }
    return command;
}

std::string_view help_text() {
    return R"(usage: rondo-get [OPTION]... URL...       URL: http, https; URL|URL: mirrors
 -i --input FILE  list of URLs (-)       -j --jobs N       files at a time (16)
 -d --dir FOLDER  where files go (.)       --per-host N   connections (6)
 -o --output FILE name of the only file -s --split N      ranges of a file (4)
    --content-disposition: server names -l --limit-rate R in all, "2M" (/s)
    --overwrite   replace files         -t --timeout S    seconds to wait (30)
    --rename      to "x.2" if taken        --low-speed R:S  fails below (1K:30)
    --sha256 HEX  of the only file      -r --retries N    more attempts (4)
    --timestamps  times of the server      --max-filesize N refuse larger
 -c --continue    parts (the default)      --http1.1, --http2 no other
    --no-continue begin again           -H --header "A: b" to every request
    --no-sync     don't wait for disks  -A --user-agent A not "rondo-get"
    --json        object for each file  -u --user U:P     name and password
 -q --quiet       failures only         -n --netrc        passwords: ~/.netrc
 -v --verbose     what happens             --netrc-file F or another file
    --no-progress lines, no bars        -x --proxy URL    http, socks5(h)
 -h --help        this text                --cacert FILE  trust only these
 -V --version                           -k --insecure     trust everybody

A line of a list: URL [out=NAME] [sha256=HEX]. An unfinished file is NAME.part;
the same command goes on with it. Files that are there are not overwritten.
Exit status: 0 all files are there, 1 some failed, 2 wrong usage, 130 Ctrl-C.
)";
}

}  // namespace downloader
