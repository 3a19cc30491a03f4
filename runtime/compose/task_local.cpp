// SPDX-License-Identifier: MIT
// Bindings in the tree of scopes, and their copies for detached tasks and jobs.
#include <rondo/task_local.hpp>

#include <algorithm>
#include <vector>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Bindings that a detached task took along: a scope below the loop's, freed with the last task
/// below it.
struct taken_along : scope {
    std::vector<bound_value> values;  // innermost first
};

/// Bindings that a job took along to its thread.
class carried_bindings {
public:
    std::vector<bound_value> values;  // innermost first
};

namespace {
thread_local const carried_bindings* of_this_job = nullptr;
}

struct bindings {
    /// Calls `f(value)` for each value around the running task, innermost first, until f returns
    /// true.
    template <class F>
    static void each(F f) {
        if (here.current == nullptr) {
            if (of_this_job == nullptr) return;
            for (const bound_value& value : of_this_job->values)
                if (f(value)) return;
            return;
        }
        for (const scope* s = here.current->innermost; s != nullptr; s = s->parent) {
            if ((s->flags & scope::under_bindings) == 0) return;  // no bindings further up
            if ((s->flags & scope::of_binding) != 0)
                if (f(static_cast<const binding_scope&>(*s).value_)) return;
            if ((s->flags & scope::of_context) == 0) continue;
            for (const bound_value& value : static_cast<const taken_along&>(*s).values)
                if (f(value)) return;
        }
    }
};

binding_scope::binding_scope(bound_value value) noexcept : value_(std::move(value)) {
    flags |= of_binding | under_bindings;
}

const void* find_bound(const void* key) noexcept {
    const void* found = nullptr;
    bindings::each([&](const bound_value& value) {
        if (value.is_of(key)) found = value.get();
        return found != nullptr;
    });
    return found;
}

namespace {

/// Appends the values that are visible here, each key once.
void collect(std::vector<bound_value>& into) {
    bindings::each([&](const bound_value& value) {
        const auto hides = [&](const bound_value& inner) { return inner.has_key_of(value); };
        if (std::none_of(into.begin(), into.end(), hides)) into.push_back(value);
        return false;
    });
}

}  // namespace

const carried_bindings* carry_bindings() {
    const bool some = here.current != nullptr
                          ? (here.current->innermost->flags & scope::under_bindings) != 0
                          : of_this_job != nullptr;
    if (!some) return nullptr;
    auto carried = std::make_unique<carried_bindings>();
    collect(carried->values);
    return carried.release();
}

void drop_bindings(const carried_bindings* bindings) noexcept { delete bindings; }

bindings_here::bindings_here(const carried_bindings* bindings) noexcept
    : before_(std::exchange(of_this_job, bindings)) {}

bindings_here::~bindings_here() { of_this_job = before_; }

scope& copy_bindings(scope& top) {
    auto context_owner = std::make_unique<taken_along>();
    collect(context_owner->values);
    taken_along* const context = context_owner.release();
    context->line = 0;
    context->flags = scope::of_context | scope::under_bindings | (top.flags & scope::reached);
    top.add_child(*context);
    return *context;
}

void remove_ownerless(scope& s) noexcept {
    s.parent->remove_child(s);
    if ((s.flags & scope::of_context) != 0)
        delete static_cast<taken_along*>(&s);
    else
        delete &s;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
