// SPDX-License-Identifier: MIT
// Lists whose links stand in their elements: order, and leaving from every place.
#include <rondo/detail/base/intrusive_list.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <type_traits>

#include "support/catch.hpp"

using rondo::detail::intrusive_fifo;
using rondo::detail::intrusive_list;
using rondo::detail::list_links;

namespace {

struct letter {
    explicit letter(char c) noexcept : name(c) {}
    char name;
    list_links<letter> links;
    list_links<letter> others;  // in a second list at the same time
    letter* behind = nullptr;
};

using letters = intrusive_list<letter, &letter::links>;
using other_letters = intrusive_list<letter, &letter::others>;
using line = intrusive_fifo<letter, &letter::behind>;

static_assert(sizeof(letters) == sizeof(void*));
static_assert(std::is_trivially_destructible_v<letters>);
static_assert(!std::is_copy_constructible_v<letters> && !std::is_copy_assignable_v<letters>);
static_assert(!std::is_copy_constructible_v<line> && !std::is_copy_assignable_v<line>);

template <class List>
std::string text(const List& list) {
    std::string all;
    for (const letter* each = list.first(); each != nullptr; each = list.next(*each))
        all += each->name;
    return all;
}

template <class List>
std::string drain(List& list) {
    std::string all;
    while (!list.empty()) all += list.pop().name;
    return all;
}

using three = std::array<letter, 3>;

template <class List>
void append_all(List& list, three& all) {
    for (letter& each : all) list.append(each);
}

}  // namespace

TEST_CASE("intrusive_list: elements leave in the order in which they were appended") {
    three all{letter('a'), letter('b'), letter('c')};
    letters list;
    CHECK(list.empty());
    CHECK(list.first() == nullptr);
    append_all(list, all);
    CHECK(&list.front() == &all[0]);
    CHECK(text(list) == "abc");
    CHECK(drain(list) == "abc");
    CHECK(list.empty());
    append_all(list, all);  // as good as new
    CHECK(drain(list) == "abc");
}

TEST_CASE("intrusive_list: an element leaves from every place, and the list takes more") {
    const std::array<std::string, 3> left{"bc", "ac", "ab"};
    for (std::size_t i = 0; i < 3; ++i) {
        three all{letter('a'), letter('b'), letter('c')};
        letters list;
        append_all(list, all);
        list.remove(all[i]);
        CHECK_FALSE(all[i].links.linked());
        CHECK(text(list) == left[i]);
        list.append(all[i]);
        CHECK(text(list) == left[i] + all[i].name);
        list.remove(all[i]);
        list.prepend(all[i]);
        CHECK(text(list) == all[i].name + left[i]);
        for (letter& each : all) list.remove(each);
        CHECK(list.empty());
        for (const letter& each : all) CHECK_FALSE(each.links.linked());
        append_all(list, all);
        CHECK(drain(list) == "abc");
    }
}

TEST_CASE("intrusive_list: an element knows whether it is linked, also as the only one") {
    letter only('a');
    letters list;
    CHECK_FALSE(only.links.linked());
    list.append(only);
    CHECK(only.links.linked());
    list.pop();
    CHECK_FALSE(only.links.linked());
    list.prepend(only);
    CHECK(only.links.linked());
    list.remove(only);
    CHECK_FALSE(only.links.linked());
    CHECK(list.empty());
}

TEST_CASE("intrusive_list: prepended elements come first, the last one before all") {
    three all{letter('a'), letter('b'), letter('c')};
    letters list;
    for (letter& each : all) list.prepend(each);
    CHECK(text(list) == "cba");
    list.remove(all[0]);  // the last one
    list.append(all[0]);
    CHECK(drain(list) == "cba");
}

TEST_CASE("intrusive_list: an element is in two lists at a time") {
    three all{letter('a'), letter('b'), letter('c')};
    letters list;
    other_letters others;
    append_all(list, all);
    for (letter& each : all) others.prepend(each);
    list.remove(all[1]);
    CHECK(all[1].others.linked());
    CHECK(text(list) == "ac");
    CHECK(text(others) == "cba");
}

TEST_CASE("intrusive_list: take moves all elements, and leaves an empty list") {
    three all{letter('a'), letter('b'), letter('c')};
    letters list, taken;
    append_all(list, all);
    taken.take(list);
    CHECK(list.empty());
    CHECK(text(taken) == "abc");
    taken.remove(all[2]);
    list.append(all[2]);
    CHECK(text(taken) == "ab");
    CHECK(text(list) == "c");
}

TEST_CASE("intrusive_fifo: elements leave in the order in which they were appended") {
    three all{letter('a'), letter('b'), letter('c')};
    line queue;
    CHECK(queue.empty());
    append_all(queue, all);
    CHECK(&queue.front() == &all[0]);
    CHECK(&queue.back() == &all[2]);
    CHECK(text(queue) == "abc");
    CHECK(queue.pop().name == 'a');
    queue.append(all[0]);
    CHECK(&queue.back() == &all[0]);
    CHECK(drain(queue) == "bca");
    for (letter& each : all) queue.prepend(each);
    CHECK(&queue.back() == &all[0]);
    CHECK(drain(queue) == "cba");
    append_all(queue, all);  // as good as new
    CHECK(drain(queue) == "abc");
}

TEST_CASE("intrusive_fifo: an element leaves from every place, and the queue takes more") {
    const std::array<std::string, 3> left{"bc", "ac", "ab"};
    for (std::size_t i = 0; i < 3; ++i) {
        three all{letter('a'), letter('b'), letter('c')};
        line queue;
        append_all(queue, all);
        queue.remove(all[i]);
        CHECK(text(queue) == left[i]);
        queue.append(all[i]);
        CHECK(&queue.back() == &all[i]);
        CHECK(text(queue) == left[i] + all[i].name);
        for (letter& each : all) queue.remove(each);
        CHECK(queue.empty());
        append_all(queue, all);
        CHECK(drain(queue) == "abc");
    }
}

TEST_CASE("intrusive_fifo: take moves all elements, and leaves an empty queue") {
    three all{letter('a'), letter('b'), letter('c')};
    line queue, taken;
    append_all(queue, all);
    taken.take(queue);
    CHECK(queue.empty());
    CHECK(taken.pop().name == 'a');
    queue.append(all[0]);
    CHECK(text(queue) == "a");
    CHECK(text(taken) == "bc");
}
