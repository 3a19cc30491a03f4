// SPDX-License-Identifier: MIT
// Bindings in the tree of scopes, and what of them a detached task takes along.
#include <rondo/task_local.hpp>

#include <algorithm>
#include <vector>

namespace rondo {
inline namespace v0 {
namespace detail {

/// What detached tasks took along: a scope of its own below the loop's, which goes with the last task below it.
struct taken_along : scope {
    std::vector<bound_value> values;  // innermost first
};

struct bindings {
    /// Calls `f(value)` for each value around the running task, innermost first, until one gives true.
    template <class F>
    static void each(F f) {
        for (const scope* s = here.current->innermost; s != nullptr; s = s->parent) {
            if ((s->bits & scope::under_bindings) == 0) return;  // nothing further up either
            if ((s->bits & scope::of_binding) != 0 && f(static_cast<const binding_scope&>(*s).value_))
                return;
            if ((s->bits & scope::of_context) == 0) continue;
            for (const bound_value& value : static_cast<const taken_along&>(*s).values)
                if (f(value)) return;
        }
    }
};

binding_scope::binding_scope(bound_value value) noexcept : value_(std::move(value)) {
    bits |= of_binding | under_bindings;
}

const void* find_bound(const void* key) noexcept {
    const void* found = nullptr;
    if (here.current == nullptr) return found;
    bindings::each([&](const bound_value& value) {
        if (value.is_of(key)) found = value.get();
        return found != nullptr;
    });
    return found;
}

scope& take_bindings_along(scope& top) {
    auto* context = new taken_along{{}, {}};
    bindings::each([&](const bound_value& value) {
        const auto hides = [&](const bound_value& inner) { return inner.has_key_of(value); };
        if (std::none_of(context->values.begin(), context->values.end(), hides))
            context->values.push_back(value);
        return false;
    });
    context->children = nullptr;
    context->line = 0;
    context->bits = scope::of_context | scope::under_bindings | (top.bits & scope::reached);
    top.add_child(*context);
    return *context;
}

void end_context(scope& context) noexcept {
    context.parent->remove_child(context);
    delete static_cast<taken_along*>(&context);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
