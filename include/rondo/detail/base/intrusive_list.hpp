// SPDX-License-Identifier: MIT
// Lists whose links stand in their elements: nothing is allocated, nothing throws, and an element
// must stay where it is, and alive, while it is in a list. intrusive_list is doubly linked, so an
// element leaves from the middle in one step. intrusive_fifo costs an element one pointer only.
#pragma once

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The place of an element in one intrusive_list: a member of the element.
template <class T>
struct list_links {
    T* next = nullptr;      // null in the last element
    T* previous = nullptr;  // the last element in the first one; null while in no list

    bool linked() const noexcept { return previous != nullptr; }
};

/// A doubly linked list of elements that others own: `intrusive_list<job, &job::links>`. An element
/// is in as many lists at a time as it has members of type list_links. The list itself is one
/// pointer. Its destructor does nothing: elements that are left stay linked.
template <class T, list_links<T> T::*Links>
class intrusive_list {
public:
    intrusive_list() noexcept = default;
    intrusive_list(const intrusive_list&) = delete;
    intrusive_list& operator=(const intrusive_list&) = delete;

    bool empty() const noexcept { return first_ == nullptr; }
    /// The first element. The list must not be empty.
    T& front() const noexcept { return *first_; }
    /// For a loop over all elements, `for (T* t = list.first(); t != nullptr; t = list.next(*t))`.
    /// A loop that removes `*t` asks for the next one before.
    T* first() const noexcept { return first_; }
    static T* next(const T& element) noexcept { return (element.*Links).next; }

    /// Adds `element`, which is in no list by these links, as the last one.
    void append(T& element) noexcept {
        (element.*Links).next = nullptr;
        if (first_ == nullptr) {
            first_ = (element.*Links).previous = &element;
            return;
        }
        T* const last = (first_->*Links).previous;
        (last->*Links).next = &element;
        (element.*Links).previous = last;
        (first_->*Links).previous = &element;
    }

    /// Adds it as the first one.
    void prepend(T& element) noexcept {
        (element.*Links).next = first_;
        (element.*Links).previous = &element;
        if (first_ != nullptr) {
            (element.*Links).previous = (first_->*Links).previous;
            (first_->*Links).previous = &element;
        }
        first_ = &element;
    }

    /// Takes out `element`, which is in this list.
    void remove(T& element) noexcept {
        list_links<T>& links = element.*Links;
        ((links.next != nullptr ? links.next : first_)->*Links).previous = links.previous;
        if (first_ == &element)
            first_ = links.next;
        else
            (links.previous->*Links).next = links.next;
        links.previous = nullptr;
    }

    /// Takes out the first element. The list must not be empty.
    T& pop() noexcept {
        T& element = *first_;
        list_links<T>& links = element.*Links;
        first_ = links.next;
        if (first_ != nullptr) (first_->*Links).previous = links.previous;
        links.previous = nullptr;
        return element;
    }

    /// Takes all elements of `other`, in their order. This list must be empty.
    void take(intrusive_list& other) noexcept {
        first_ = other.first_;
        other.first_ = nullptr;
    }

private:
    T* first_ = nullptr;
};

/// A singly linked queue of elements that others own: `intrusive_fifo<post, &post::next>`. Elements
/// leave at the front; `remove` takes as many steps as there are elements before the one.
template <class T, T* T::*Next>
class intrusive_fifo {
public:
    intrusive_fifo() noexcept = default;
    intrusive_fifo(const intrusive_fifo&) = delete;
    intrusive_fifo& operator=(const intrusive_fifo&) = delete;

    bool empty() const noexcept { return first_ == nullptr; }
    /// The first element, and the last one. The queue must not be empty.
    T& front() const noexcept { return *first_; }
    T& back() const noexcept { return *last_; }
    /// For a loop over all elements, as in intrusive_list.
    T* first() const noexcept { return first_; }
    static T* next(const T& element) noexcept { return element.*Next; }

    /// Adds `element`, which is in no list by this link, as the last one.
    void append(T& element) noexcept {
        element.*Next = nullptr;
        if (first_ == nullptr)
            first_ = &element;
        else
            last_->*Next = &element;
        last_ = &element;
    }

    /// Adds it as the first one.
    void prepend(T& element) noexcept {
        element.*Next = first_;
        if (first_ == nullptr) last_ = &element;
        first_ = &element;
    }

    /// Takes out the first element. The queue must not be empty.
    T& pop() noexcept {
        T& element = *first_;
        first_ = element.*Next;
        return element;
    }

    /// Takes out `element`, which is in this queue.
    void remove(T& element) noexcept {
        T* before = nullptr;
        for (T* each = first_; each != &element; each = each->*Next) before = each;
        (before != nullptr ? before->*Next : first_) = element.*Next;
        if (last_ == &element) last_ = before;
    }

    /// Takes all elements of `other`, in their order. This queue must be empty.
    void take(intrusive_fifo& other) noexcept {
        first_ = other.first_;
        last_ = other.last_;
        other.first_ = nullptr;
    }

private:
    T* first_ = nullptr;
    T* last_ = nullptr;  // while first_ is not null
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
