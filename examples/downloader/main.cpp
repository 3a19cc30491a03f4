// SPDX-License-Identifier: MIT
// rondo-get: downloads many files at once over HTTP and HTTPS. `rondo-get --help` says how, and
// docs/downloader.md why.
//
// Each download is a task, with a limit on how many run at a time. They share a thread, a ring and
// the connections that servers keep open. One more task draws the progress. Ctrl-C cancels them
// all, and each saves what it has.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

#include "failure.hpp"
#include "fetch.hpp"
#include "terminal.hpp"
#include "text.hpp"

using namespace std::chrono_literals;
using namespace downloader;

namespace {

constexpr int screen_number = STDERR_FILENO;  // the standard output is for data

rondo::task<> draw(downloads& all) {
    for (;;) {
        co_await rondo::sleep(100ms);
        if (is_writable(screen_number))
            write_out(screen_number, all.show.render(all.now(), screen_of(screen_number)));
    }
}

/// Errors that are told nowhere else, such as that of a second mirror: never raw, and not into the
/// bars.
void tell(downloads& all, const rondo::exception_context& what) {
    if (!all.wanted.verbose) return;
    std::string reason;
    try {
        if (what.error) std::rethrow_exception(what.error);
    } catch (const std::exception& error) {
        reason = ": " + reason_of(error);
    } catch (...) {
    }
    all.show.note(what.message + reason);
}

rondo::task<> download_all(downloads& all, std::vector<job> jobs) {
    rondo::running_loop().set_exception_handler(
        [&all](const rondo::exception_context& what) { tell(all, what); });
    co_await rondo::race(fetch_all(all, std::move(jobs)), draw(all));
}

/// Raises the limit on descriptors: a download needs two, and many systems allow 1024 by default.
/// Then makes the kernel's table of them large, by the use of a high number: once there are
/// threads, a call that opens a file takes 10 ms if the table has to grow.
void allow_descriptors(std::size_t jobs) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t wanted = 512 + 2 * std::min<rlim_t>(jobs, 50'000);
    const auto high = std::min(limit.rlim_cur, wanted) - 1;
    const int opened = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(::fcntl(opened, F_DUPFD_CLOEXEC, static_cast<int>(high)));
    ::close(opened);
}

/// --output may have a folder of its own, beneath that of --dir.
void split_output(options& wanted) {
    const auto slash = wanted.output.rfind('/');
    if (slash == std::string::npos) return;
    const std::string in = wanted.output.substr(0, slash + 1);
    wanted.folder = in.starts_with('/') ? in : wanted.folder + "/" + in;
    wanted.output.erase(0, slash + 1);
}

/// Says before the first byte that --output can be no file.
/// Throws: usage_error.
void check_output(const std::string& name, const folder& to) {
    const auto there = to.status(name);
    if (!there && errno == ENAMETOOLONG)
        throw usage_error(fmt::format("--output: a name of {} bytes is too long", name.size()));
    if (there && S_ISDIR(there->st_mode))
        throw usage_error(fmt::format("--output: {} is a folder, which --dir names", name));
}

std::vector<wanted_file> files_of(const options& wanted) {
    std::vector<wanted_file> files;
    for (const std::string& text : wanted.urls) {
        files.emplace_back();
        files.back().urls = split_mirrors(text);
        files.back().sha256 = wanted.sha256;
    }
    for (const std::string& path : wanted.list_files)
        for (wanted_file& file : read_list_file(path)) files.push_back(std::move(file));
    return files;
}

progress_mode mode_of(const options& wanted) {
    if (wanted.quiet) return progress_mode::quiet;
    const bool bars = wanted.progress && shows_bars(screen_number);
    return bars ? progress_mode::bars : progress_mode::lines;
}

int download(options& wanted, int argc, char** argv) {
    split_output(wanted);
    std::vector<wanted_file> files = files_of(wanted);
    const folder to(wanted.folder);
    if (!wanted.output.empty()) check_output(wanted.output, to);
    allow_descriptors(wanted.jobs);
    progress show(files.size(), mode_of(wanted));
    downloads all(wanted, to, show);
    std::vector<job> jobs = make_jobs(all, std::move(files));
    rondo::run_options how;
    how.handle_sigterm = true;
    rondo::run(download_all(all, std::move(jobs)), how);
    write_out(screen_number, show.finish(all.now(), screen_of(screen_number)));
    if (all.output_error != 0)
        write_out(screen_number, fmt::format("rondo-get: write to the standard output: {}\n",
                                             std::generic_category().message(all.output_error)));
    const int code = rondo::interrupted();
    if (code == 0) return show.files_failed() > 0 || all.output_error != 0 ? 1 : 0;
    if (!wanted.quiet)
        write_out(screen_number, "to continue:  " + resume_command(argc, argv) + "\n");
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    ::mallopt(M_ARENA_MAX, 1);  // its threads allocate next to nothing
    open_standard_streams();
    try {
        options wanted = parse_options(argc, argv);
        if (wanted.help || wanted.version_only) {
            write_out(STDOUT_FILENO, wanted.help ? help_text() : "rondo-get " RONDO_VERSION "\n");
            return 0;
        }
        return download(wanted, argc, argv);
    } catch (const usage_error& error) {
        write_out(screen_number, fmt::format("rondo-get: {}\nrondo-get --help shows the options\n",
                                             printable(error.what(), 1000)));
    } catch (const std::exception& error) {  // a list or a folder that is none, no io_uring
        write_out(screen_number, fmt::format("rondo-get: {}\n", printable(error.what())));
    }
    return 2;
}
