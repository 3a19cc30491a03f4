// SPDX-License-Identifier: MIT
// main() of every test program: Catch2's own, and a listener that adds one line to the file named
// by RONDO_TALLY after a run, "passed failed skipped program", counted in test cases. scripts/test
// sums them up; a program that dies on its way leaves no line and is counted as a failure there.
//
// Compiling Catch2's main takes longer than compiling a test, so it is done once, without a
// sanitizer and without optimisation, and the archive is linked into every build, sanitised or not;
// only the thread sanitizer's build has one of its own (tests/meson.build). Nothing of rondo may be
// included here: its code would escape the sanitizer
// that watches the test.
#if __has_include(<catch2/catch_all.hpp>)
#define CATCH_VERSION_3 1
#else
#define CATCH_CONFIG_RUNNER
#endif
#include "support/catch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

const char* program = "test";

#ifdef CATCH_VERSION_3
using listener_base = Catch::EventListenerBase;
#else
using listener_base = Catch::TestEventListenerBase;
#endif

class tally : public listener_base {
public:
    using listener_base::listener_base;

#ifdef CATCH_VERSION_3
    void testRunEnded(const Catch::TestRunStats& run) override {
        const auto& cases = run.totals.testCases;
        write(cases.passed + cases.failedButOk, cases.failed, cases.skipped);
    }
#else
    void testCaseEnded(const Catch::TestCaseStats& ended) override {
        if (rondo_tests::case_skipped && ended.totals.testCases.failed == 0) ++skipped_;
        rondo_tests::case_skipped = false;
    }

    void testRunEnded(const Catch::TestRunStats& run) override {
        const auto& cases = run.totals.testCases;
        write(cases.passed + cases.failedButOk - skipped_, cases.failed, skipped_);
    }
#endif

private:
    static void write(std::size_t passed, std::size_t failed, std::size_t skipped) {
        const char* path = std::getenv("RONDO_TALLY");
        if (path == nullptr || *path == '\0') return;
        const int fd = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0) return std::perror(path);
        char line[256];
        const int size = std::snprintf(line, sizeof line, "%zu %zu %zu %s\n", passed, failed,
                                       skipped, program);
        // One write, so that lines of programs that run at the same time do not mix.
        if (::write(fd, line, static_cast<std::size_t>(size)) != size) std::perror(path);
        ::close(fd);
    }

    std::size_t skipped_ = 0;
};

CATCH_REGISTER_LISTENER(tally)

}  // namespace

// The count of a std::exception_ptr is in libstdc++, which is not instrumented. So the thread
// sanitizer does not see that an owner that reads an exception has done so before another one, the
// last one, frees it.
extern "C" [[gnu::used, gnu::visibility("default")]] const char* __tsan_default_suppressions() {
    return "race:std::__exception_ptr::exception_ptr::_M_release\n";
}

// A test program that starts itself again for another purpose defines this. True if this process
// serves that purpose, and has done so.
extern "C" [[gnu::weak]] bool rondo_tests_take_over(int count, char** arguments);

int main(int count, char** arguments) {
    if (rondo_tests_take_over != nullptr && rondo_tests_take_over(count, arguments)) return 0;
    const char* slash = std::strrchr(arguments[0], '/');
    program = slash != nullptr ? slash + 1 : arguments[0];
    std::string file;
    for (int i = 1; i < count; ++i) {  // "[#test_gather]": the cases of one file
        const std::string argument = arguments[i];
        if (argument.rfind("[#test_", 0) == 0) file = argument.substr(2, argument.size() - 3);
    }
    if (!file.empty()) program = file.c_str();
    return Catch::Session().run(count, arguments);
}
