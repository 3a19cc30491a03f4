// SPDX-License-Identifier: MIT
// Memory and time of gumbo.
#include "html_tree.hpp"

#include <algorithm>
#include <chrono>
#include <csetjmp>
#include <cstdlib>
#include <ctime>

#include "page.hpp"

namespace crawler {

namespace {

constexpr std::size_t tree_bytes_max = std::size_t{256} << 20;
constexpr std::size_t block_bytes = std::size_t{256} << 10;
constexpr std::chrono::milliseconds parse_time_max{500};

enum class end_of_parse : int { done = 0, memory = 1, time = 2 };

/// Processor time of this thread.
std::chrono::nanoseconds processor_time() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

// Gumbo cannot be told to stop, and has an allocation in each of its loops. So the allocator jumps
// out of it: over frames of C, which own nothing except memory of the tree.
struct html_tree::limits {
    std::jmp_buf out;
    std::chrono::nanoseconds began = processor_time();
    unsigned calls = 0;

    void check_time() {
        if (++calls % 64 == 0 && processor_time() - began > parse_time_max)
            leave(end_of_parse::time);
    }
    [[noreturn]] void leave(end_of_parse why) { std::longjmp(out, static_cast<int>(why)); }
};

void* html_tree::allocate(void* self, std::size_t size) {
    auto& tree = *static_cast<html_tree*>(self);
    tree.limits_->check_time();
    size = (size + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);
    if (size > tree.free_bytes_) {
        const std::size_t wanted = std::max(size, block_bytes);
        tree.bytes_ += wanted;
        const bool has_room = tree.blocks_.size() < tree.blocks_.capacity();
        void* block = has_room && tree.bytes_ <= tree_bytes_max ? std::malloc(wanted) : nullptr;
        if (block == nullptr) tree.limits_->leave(end_of_parse::memory);
        tree.blocks_.push_back(block);
        tree.free_ = static_cast<char*>(block);
        tree.free_bytes_ = wanted;
    }
    void* result = tree.free_;
    tree.free_ += size;
    tree.free_bytes_ -= size;
    return result;
}

void html_tree::release(void*, void*) {}

html_tree::html_tree(std::string_view text) {
    blocks_.reserve(tree_bytes_max / block_bytes);  // the allocator must not throw
    limits inside;
    limits_ = &inside;
    GumboOptions options = kGumboDefaultOptions;
    options.allocator = allocate;
    options.deallocator = release;
    options.userdata = this;
    options.max_errors = 0;
    const auto end = static_cast<end_of_parse>(setjmp(inside.out));
    if (end == end_of_parse::done) {
        root_ = gumbo_parse_with_options(&options, text.data(), text.size())->root;
        limits_ = nullptr;
        return;
    }
    for (void* block : blocks_) std::free(block);
    if (end == end_of_parse::time)
        throw page_too_complex("the page takes the parser more than half a second");
    throw page_too_complex("the page takes the parser more than 256 MiB");
}

html_tree::~html_tree() {
    for (void* block : blocks_) std::free(block);
}

std::string_view attribute_of(const GumboElement& element, const char* name, bool* there) {
    const GumboAttribute* found = gumbo_get_attribute(&element.attributes, name);
    if (there != nullptr) *there = found != nullptr;
    return found == nullptr ? std::string_view() : found->value;
}

}  // namespace crawler
