// SPDX-License-Identifier: MIT
// testing::sweep: runs a program with every fault at every operation, one fault a run.
#include <array>
#include <cerrno>
#include <exception>
#include <optional>
#include <stdexcept>

#include <rondo/sleep.hpp>
#include <rondo/testing.hpp>

namespace rondo {
inline namespace v0 {
namespace testing {

sweep_error::~sweep_error() = default;

namespace {

struct injection {
    const char* name;
    fault what;  // none: a call that is not an operation fails with `error`
    int error = 0;
};

constexpr std::array injections{
    injection{"ECANCELED", fault::cancel},
    injection{"EIO", fault::error, EIO},
    injection{"ECONNRESET", fault::error, ECONNRESET},
    injection{"ENOBUFS", fault::error, ENOBUFS},
    injection{"EINTR", fault::error, EINTR},
    injection{"a short transfer", fault::short_transfer},
    injection{"a delay", fault::delay},
    injection{"a cancellation of the program", fault::cancel_main},
    injection{"EMFILE", fault::none, EMFILE},
    injection{"ENOMEM", fault::none, ENOMEM},
};
constexpr std::size_t defects_max = 10;  // to report before the sweep stops

struct one_run {
    std::string defect;  // empty: none
    std::uint64_t operations = 0;
    std::uint64_t calls = 0;
    bool failed = false;
};

class sweeper {
public:
    sweeper(task<> (*make)(void*), void* program, const sweep_options& options) noexcept
        : make_(make), program_(program), options_(options) {}

    sweep_count all() {
        for (std::uint64_t seed = 1; seed <= options_.seeds; ++seed) with_seed(seed);
        if (defects_ != 0) throw sweep_error(text_.substr(0, text_.size() - 1));
        return count_;
    }

private:
    void with_seed(std::uint64_t seed) {
        sim_options plain = options_.run;
        plain.seed = seed;
        plain.what = fault::none;
        plain.at_call = ~std::uint64_t(0);
        const one_run good = run(plain, "without a fault");
        count_.operations = std::max(count_.operations, good.operations);
        count_.calls = std::max(count_.calls, good.calls);
        if (!good.defect.empty()) return;
        for (const injection& each : injections) {
            const bool on_call = each.what == fault::none;
            const std::uint64_t places = on_call ? good.calls : good.operations;
            for (std::uint64_t at = 0; at < places && defects_ < defects_max; ++at) {
                sim_options faulty = plain;
                faulty.what = each.what;
                faulty.error_number = each.error;
                (on_call ? faulty.at_call : faulty.at_operation) = at;
                run(faulty, std::string(each.name) + (on_call ? " at call " : " at operation ") +
                                std::to_string(at));
            }
        }
    }

    one_run run(const sim_options& how, const std::string& what) {
        const bool plain = how.what == fault::none && how.at_call == ~std::uint64_t(0);
        const one_run made = run_once(how, plain);
        ++count_.runs;
        count_.failed += made.failed ? 1 : 0;
        if (!made.defect.empty()) {
            ++defects_;
            text_ += "seed " + std::to_string(how.seed) + ", " + what + ": " + made.defect + '\n';
        }
        return made;
    }

    task<> limited(bool& in_time) {
        const auto ended = co_await move_on_after(options_.patience, make_(program_));
        in_time = static_cast<bool>(ended);
    }

    one_run run_once(const sim_options& how, bool plain) {
        one_run made;
        bool in_time = true;
        world w(how);
        w.loop().set_exception_handler([](const exception_context&) {});
        run_main(w, in_time, how.what == fault::cancel_main, made);
        if (plain && made.failed) made.defect = "the program failed: " + made.defect;
        if (!in_time) made.defect = "the program took longer than sweep_options::patience";
        made.operations = w.operations();
        made.calls = w.calls();
        try {
            w.end();
        } catch (const leak_error& left) {
            if (made.defect.empty() || made.failed)
                made.defect = std::string("the program left behind: ") + left.what();
            made.failed = false;
        }
        if (made.failed && !plain) made.defect.clear();
        return made;
    }

    /// An error that a fault may cause sets `failed`, with its text in `defect`.
    void run_main(world& w, bool& in_time, bool cancels, one_run& made) {
        try {
            w.run(limited(in_time));
        } catch (const deadlock_error& error) {
            made.defect = std::string("the program hung: ") + error.what();
        } catch (const future_cancelled&) {
            made.failed = cancels;
            made.defect = "the program ended as cancelled, but the sweep did not cancel it";
        } catch (const std::logic_error& error) {
            made.defect = std::string("wrong result: ") + error.what();
        } catch (const std::exception& error) {
            made.failed = true;
            made.defect = error.what();
        } catch (...) {
            made.defect = "the program threw something that is not a std::exception";
        }
    }

    task<> (*make_)(void*);
    void* program_;
    const sweep_options& options_;
    sweep_count count_;
    std::string text_;
    std::size_t defects_ = 0;
};

}  // namespace

namespace detail {

sweep_count sweep(task<> (*make)(void*), void* program, const sweep_options& options) {
    return sweeper(make, program, options).all();
}

}  // namespace detail

}  // namespace testing
}  // namespace v0
}  // namespace rondo
