// SPDX-License-Identifier: MIT
// managed_store: each request is carried out whole or not at all.
#include "multiprocess/managed/store.hpp"

#include <algorithm>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

managed_reply no_room() {
    managed_reply reply;
    reply.status = managed_status::no_room;
    return reply;
}
managed_reply number(std::uint64_t value) {
    managed_reply reply;
    reply.answer.number = value;
    return reply;
}
managed_reply value(std::string bytes) {
    managed_reply reply;
    reply.answer.value = std::move(bytes);
    return reply;
}

}  // namespace

stored_object* managed_store::find(std::uint64_t object) noexcept {
    const auto found = objects_.find(object);
    return found == objects_.end() ? nullptr : &found->second;
}

stored_object* managed_store::make(std::uint64_t object) {
    if (stored_object* const known = find(object)) return known;
    if (!reserve(sizeof(stored_object) + overhead)) return nullptr;
    return &objects_[object];
}

mutex* managed_store::lock_of(std::uint64_t object) {
    stored_object* const it = make(object);
    return it != nullptr ? &it->lock : nullptr;
}

/// Counts the bytes of a change. False, without counting, if there is no room.
bool managed_store::reserve(std::uint64_t more, std::uint64_t less) noexcept {
    if (bytes_ - less + more > bytes_max_) return false;
    bytes_ = bytes_ - less + more;
    return true;
}

// -- maps -----------------------------------------------------------------------------------------

managed_reply managed_store::set(managed_request& request, bool only_if) {
    stored_object* const object = make(request.object);
    if (object == nullptr) return no_room();
    const auto old = object->map.find(request.key);
    const bool is_new = old == object->map.end();
    const bool is_expected =
        is_new ? request.index != 0 : request.expected && *request.expected == old->second;
    if (only_if && !is_expected) return number(0);
    const bool fits = is_new ? reserve(request.key.size() + request.value.size() + overhead)
                             : reserve(request.value.size(), old->second.size());
    if (!fits) return no_room();
    if (is_new)
        object->map.emplace(std::move(request.key), std::move(request.value));
    else
        old->second = std::move(request.value);
    return number(1);
}

managed_reply managed_store::erase(const managed_request& request) {
    stored_object* const object = find(request.object);
    if (object == nullptr) return {};
    const auto old = object->map.find(request.key);
    if (old == object->map.end()) return {};
    bytes_ -= old->first.size() + old->second.size() + overhead;
    managed_reply reply = value(std::move(old->second));
    object->map.erase(old);
    return reply;
}

managed_reply managed_store::items_of_map(const managed_request& request) {
    managed_reply reply;
    const stored_object* const object = find(request.object);
    if (object == nullptr) return reply;
    for (const auto& [key, stored] : object->map) {
        reply.answer.items.push_back(key);
        reply.answer.items.push_back(stored);
    }
    return reply;
}

managed_reply managed_store::apply_to_map(managed_request& request) {
    using op = managed_op;
    if (request.what == op::map_set) return set(request, false);
    if (request.what == op::map_set_if) return set(request, true);
    if (request.what == op::map_erase) return erase(request);
    if (request.what == op::map_items) return items_of_map(request);
    const stored_object* const object = find(request.object);
    if (object == nullptr) return {};
    if (request.what == op::map_size) return number(object->map.size());
    const auto found = object->map.find(request.key);
    return found != object->map.end() ? value(found->second) : managed_reply();
}

// -- lists ----------------------------------------------------------------------------------------

managed_reply managed_store::set_item(managed_request& request) {
    stored_object* const object = find(request.object);
    if (object == nullptr || request.index >= object->list.size()) return number(0);
    std::string& item = object->list[request.index];
    if (request.expected && *request.expected != item) return number(0);
    if (!reserve(request.value.size(), item.size())) return no_room();
    item = std::move(request.value);
    return number(1);
}

managed_reply managed_store::insert_item(managed_request& request) {
    stored_object* const object = make(request.object);
    if (object == nullptr || !reserve(request.value.size() + overhead)) return no_room();
    const std::uint64_t at = std::min<std::uint64_t>(request.index, object->list.size());
    object->list.insert(object->list.begin() + static_cast<std::ptrdiff_t>(at),
                        std::move(request.value));
    return number(object->list.size());
}

managed_reply managed_store::erase_item(const managed_request& request) {
    stored_object* const object = find(request.object);
    if (object == nullptr || object->list.empty()) return {};
    std::uint64_t at = request.index;
    if (at == managed_object::at_end) at = object->list.size() - 1;
    if (at >= object->list.size()) return {};
    const auto item = object->list.begin() + static_cast<std::ptrdiff_t>(at);
    bytes_ -= item->size() + overhead;
    managed_reply reply = value(std::move(*item));
    object->list.erase(item);
    return reply;
}

managed_reply managed_store::items_of_list(const managed_request& request) {
    managed_reply reply;
    const stored_object* const object = find(request.object);
    if (object != nullptr) reply.answer.items.assign(object->list.begin(), object->list.end());
    return reply;
}

managed_reply managed_store::apply_to_list(managed_request& request) {
    using op = managed_op;
    if (request.what == op::list_set_if) return set_item(request);
    if (request.what == op::list_insert) return insert_item(request);
    if (request.what == op::list_erase) return erase_item(request);
    if (request.what == op::list_items) return items_of_list(request);
    const stored_object* const object = find(request.object);
    if (object == nullptr) return {};
    if (request.what == op::list_size) return number(object->list.size());
    return request.index < object->list.size() ? value(object->list[request.index])
                                               : managed_reply();
}

// -- both -----------------------------------------------------------------------------------------

managed_reply managed_store::clear(const managed_request& request) {
    stored_object* const object = find(request.object);
    if (object == nullptr) return {};
    for (const auto& [key, stored] : object->map) bytes_ -= key.size() + stored.size() + overhead;
    for (const std::string& item : object->list) bytes_ -= item.size() + overhead;
    object->map.clear();
    object->list.clear();
    return {};
}

managed_reply managed_store::apply(managed_request& request) {
    if (request.what == managed_op::clear) return clear(request);
    if (request.what <= managed_op::map_items) return apply_to_map(request);
    return apply_to_list(request);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
