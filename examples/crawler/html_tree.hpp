// SPDX-License-Identifier: MIT
// A tree of HTML, made by gumbo within limits of time and memory.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <gumbo.h>

namespace crawler {

/// A parsed text. The nodes refer to it, so it must outlive the tree.
class html_tree {
public:
    /// Throws: page_too_complex.
    explicit html_tree(std::string_view text);
    html_tree(const html_tree&) = delete;
    html_tree& operator=(const html_tree&) = delete;
    ~html_tree();

    /// Calls `fn(const GumboElement&)` for each element, in the order of the text. The contents of
    /// <template> are no part of the page.
    template <class F>
    void for_each(F fn) const {
        // The tree may be as deep as the text is long, so this is a loop and no recursion.
        std::vector<const GumboNode*> rest = {root_};
        while (!rest.empty()) {
            const GumboNode* node = rest.back();
            rest.pop_back();
            if (node->type != GUMBO_NODE_ELEMENT) continue;
            const GumboElement& element = node->v.element;
            fn(element);
            for (unsigned i = element.children.length; i > 0; --i)
                rest.push_back(static_cast<const GumboNode*>(element.children.data[i - 1]));
        }
    }

private:
    static void* allocate(void* self, std::size_t size);
    static void release(void* self, void* memory);
    struct limits;

    std::vector<void*> blocks_;  // all memory of the tree: it goes at once
    char* free_ = nullptr;
    std::size_t free_bytes_ = 0;
    std::size_t bytes_ = 0;
    limits* limits_ = nullptr;
    const GumboNode* root_ = nullptr;
};

/// The value of an attribute, empty if the element has none of that name. `there` tells.
std::string_view attribute_of(const GumboElement& element, const char* name, bool* there = nullptr);

}  // namespace crawler
