// SPDX-License-Identifier: MIT
// The scripts. KEYS are the same in all: the stream of jobs, the jobs for later, the stream of dead
// jobs, the index of those, the facts of the queue; then the marker of the id, if there is one.
//
// A lease is (entry, consumer, deliveries): the entry of the stream, the worker that Redis counts
// as its owner, and how often it was delivered. A worker that lost its lease differs in one of
// them, also if the same worker took the job again.
#include "redis/steps.hpp"

#include <iterator>

#include <rondo/work_queue.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr const char* tools = R"lua(
local jobs, later, dead, index, facts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function value_of(fields, name)
    for i = 1, #fields, 2 do
        if fields[i] == name then return fields[i + 1] end
    end
end
local function is_held(entry, consumer, deliveries)
    local found = call('XPENDING', jobs, 'workers', entry, entry, 1, consumer)[1]
    return found and found[4] == tonumber(deliveries)
end
-- Programs in other languages put jobs too.
local function count_of(text)
    return text and #text < 10 and tonumber(string.match(text, '^%d+$')) or 0
end
local function parts_of(entry, fields)
    local id = value_of(fields, 'id') or ''
    return id ~= '' and #id <= 1024 and id or entry, value_of(fields, 'payload') or '',
        count_of(value_of(fields, 'attempts'))
end
-- A reply with such a payload could end the connection of each worker that gets it.
local payload_most = 4194304
local function refusal_of(payload)
    if #payload > payload_most then
        return 'its payload has ' .. #payload .. ' bytes, and at most ' .. payload_most ..
            ' are allowed'
    end
end
local function read(entry)
    local found = call('XRANGE', jobs, entry, entry)[1]
    if found then return parts_of(entry, found[2]) end
end
local function add(id, payload, attempts)
    call('XADD', jobs, '*', 'id', id, 'payload', payload, 'attempts', attempts)
end
local function remove(entry)
    call('XACK', jobs, 'workers', entry)
    call('XDEL', jobs, entry)
end
-- Its last delivery does not count as an attempt. It is added anew, so that a blocked reader wakes.
local function give_back(entry, deliveries)
    local id, payload, before = read(entry)
    remove(entry)
    if id then add(id, payload, before + deliveries - 1) end
end
-- The jobs of some workers, ARGV[from] in number, except the entries after their names.
local function give_back_unknown(from)
    local last, known = from + ARGV[from], {}
    for i = last + 1, #ARGV do known[ARGV[i]] = true end
    for i = from + 1, last do
        for _, each in ipairs(call('XPENDING', jobs, 'workers', '-', '+', 1000, ARGV[i])) do
            if not known[each[1]] then give_back(each[1], each[4]) end
        end
    end
end
local function add_later(due, id, payload, attempts)
    call('ZADD', later, due, attempts .. ':' .. #id .. ':' .. id .. payload)
end
local function bury(entry, marker, remember, id, payload, attempts, reason)
    local before = call('HGET', index, id)
    if before then call('XDEL', dead, before) end
    local grave = call('XADD', dead, '*', 'id', id, 'payload', payload, 'attempts', attempts,
        'reason', reason)
    call('HSET', index, id, grave)
    call('PEXPIRE', marker, remember)
    remove(entry)
end
local function next_fence(count)
    local last = tonumber(call('HGET', facts, 'fence') or 0)
    local first = math.max(last + 1, time[1] * 1000000 + time[2])
    call('HSET', facts, 'fence', string.format('%.0f', first + count - 1))
    return first
end
)lua";

constexpr const char* put_text = R"lua(
local results = {}
for i = 1, (#ARGV - 1) / 4 do
    local marker, at = KEYS[5 + i], i * 4 - 2
    local token, id, delay, payload = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
    if call('SET', marker, token, 'NX', 'PX', ARGV[1]) then
        if delay > 0 then
            add_later(now + delay, id, payload, 0)
        else
            add(id, payload, 0)
        end
        results[i] = 1
    else
        -- The same put, repeated since its reply was lost.
        results[i] = call('GET', marker) == token and 1 or 0
    end
end
return results
)lua";

constexpr const char* take_text = R"lua(
local consumer, count, attempts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local lease, remember, markers = tonumber(ARGV[4]), ARGV[5], ARGV[6]

-- Jobs whose delivery never reached this worker, under the names that it had then.
give_back_unknown(7)

for _, member in ipairs(call('ZRANGE', later, '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
    local before, size, at = string.match(member, '^(%d+):(%d+):()')
    call('ZREM', later, member)
    if before then
        add(string.sub(member, at, at + size - 1), string.sub(member, at + size), before)
    else
        call('XADD', dead, '*', 'id', '', 'payload', member, 'attempts', 0,
            'reason', 'it was put off in a form that is unknown')
    end
end

local taken, bytes, wait = {}, 0, 1000
local function take(entry, deliveries, fields)
    local id, payload, before = parts_of(entry, fields)
    local why = before + deliveries > attempts and 'its worker did not finish' or
        refusal_of(payload)
    if why then
        return bury(entry, markers .. id, remember, id, payload, before + deliveries - 1, why)
    end
    taken[#taken + 1] = {entry, deliveries, before, id, payload}
    bytes = bytes + #payload
end

-- Far in the future: the clock was set back.
local scan_at = tonumber(call('HGET', facts, 'scan_at') or 0)
if now >= scan_at or scan_at > now + 1000 then
    local from = call('HGET', facts, 'scan_from') or '-'
    local list = call('XPENDING', jobs, 'workers', 'IDLE', 500, from, '+', 500)
    local is_whole = #list < 500
    for _, each in ipairs(list) do
        local own = tonumber(string.match(each[2], ':lease=(%d+)$')) or lease
        if each[3] >= own then
            if #taken >= count or bytes >= 8388608 then
                is_whole = false
                break
            end
            local got = call('XCLAIM', jobs, 'workers', consumer, 0, each[1])[1]
            if got then take(each[1], each[4] + 1, got[2]) end
        else
            wait = math.min(wait, own - each[3])
        end
        from = '(' .. each[1]
    end
    call('HSET', facts, 'scan_from', is_whole and '-' or from, 'scan_at',
        is_whole and now + 250 or now)
end

while #taken < count and bytes < 8388608 do
    local got = call('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT',
        math.min(count - #taken, 8), 'STREAMS', jobs, '>')
    if not got then break end
    for _, each in ipairs(got[1][2]) do take(each[1], 1, each[2]) end
end

local first = 0
if #taken > 0 then first = next_fence(#taken) end
local due = call('ZRANGE', later, 0, 0, 'WITHSCORES')[2]
if due then wait = math.min(wait, math.max(1, math.ceil(due - now))) end
return {wait, call('XLEN', jobs), call('ZCARD', later), first, taken}
)lua";

constexpr const char* begin_text = R"lua(
local consumer, entry, attempts, remember, markers = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4],
    ARGV[5]
if not is_held(entry, consumer, 1) then return {} end
call('XCLAIM', jobs, 'workers', consumer, 0, entry, 'JUSTID')
local id, payload, before = read(entry)
if not id then
    remove(entry)
    return {}
end
local why = before + 1 > attempts and 'its worker did not finish' or refusal_of(payload)
if why then
    bury(entry, markers .. id, remember, id, payload, before, why)
    return {}
end
return {next_fence(1), before, id}
)lua";

constexpr const char* renew_text = R"lua(
local results = {}
for i = 1, #ARGV / 3 do
    local consumer, entry, deliveries = ARGV[i * 3 - 2], ARGV[i * 3 - 1], ARGV[i * 3]
    local is_ours = is_held(entry, consumer, deliveries)
    if is_ours then
        is_ours = #call('XCLAIM', jobs, 'workers', consumer, 0, entry, 'JUSTID') > 0
    end
    results[i] = is_ours and 1 or 0
end
return results
)lua";

constexpr const char* done_text = R"lua(
if not is_held(ARGV[2], ARGV[1], ARGV[3]) then return 0 end
remove(ARGV[2])
call('PEXPIRE', KEYS[6], ARGV[4])
return 1
)lua";

constexpr const char* retry_text = R"lua(
local consumer, entry, deliveries, remember = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local delay, reason = tonumber(ARGV[5]), ARGV[6]
if not is_held(entry, consumer, deliveries) then return 0 end
local id, payload, before = read(entry)
if not id then
    remove(entry)
    return 0
end
local attempts = before + deliveries
if delay < 0 then
    bury(entry, KEYS[6], remember, id, payload, attempts, reason)
    return 2
end
remove(entry)
add_later(now + delay, id, payload, attempts)
call('PEXPIRE', KEYS[6], remember)
return 1
)lua";

constexpr const char* release_text = R"lua(
if not is_held(ARGV[2], ARGV[1], ARGV[3]) then return 0 end
give_back(ARGV[2], ARGV[3])
return 1
)lua";

constexpr const char* stats_text = R"lua(
local leased = call('XPENDING', jobs, 'workers')[1]
local age = 0
for _, group in ipairs(call('XINFO', 'GROUPS', jobs)) do
    if value_of(group, 'name') == 'workers' then
        local from = '(' .. value_of(group, 'last-delivered-id')
        local oldest = call('XRANGE', jobs, from, '+', 'COUNT', 1)[1]
        if oldest then age = math.max(0, now - tonumber(string.match(oldest[1], '^%d+'))) end
    end
end
-- Entries that were deleted by hand may still be leased.
local waiting = math.max(0, call('XLEN', jobs) - leased)
return {waiting, leased, call('ZCARD', later), call('XLEN', dead), age}
)lua";

constexpr const char* dead_text = R"lua(
local found = {}
for i, each in ipairs(call('XREVRANGE', dead, ARGV[1], '-', 'COUNT', ARGV[2])) do
    local id, payload, attempts = parts_of(each[1], each[2])
    local reason = value_of(each[2], 'reason') or ''
    found[i] = {each[1], id, string.sub(payload, 1, payload_most), attempts,
        string.sub(reason, 1, 1000)}
end
return found
)lua";

constexpr const char* revive_text = R"lua(
local grave = call('HGET', index, ARGV[1])
if not grave then return 0 end
local found = call('XRANGE', dead, grave, grave)[1]
call('HDEL', index, ARGV[1])
call('XDEL', dead, grave)
if not found then return 0 end
add(ARGV[1], value_of(found[2], 'payload') or '', 0)
call('SET', KEYS[6], 'revived', 'PX', ARGV[2])
return 1
)lua";

constexpr const char* forget_text = R"lua(
local known = call('DEL', KEYS[6])
local grave = call('HGET', index, ARGV[1])
if grave then
    call('HDEL', index, ARGV[1])
    known = known + call('XDEL', dead, grave)
end
return known
)lua";

constexpr const char* join_text = R"lua(
for _, each in ipairs(call('XINFO', 'CONSUMERS', jobs, 'workers')) do
    if value_of(each, 'pending') == 0 and value_of(each, 'idle') > 3600000 then
        call('XGROUP', 'DELCONSUMER', jobs, 'workers', value_of(each, 'name'))
    end
end
return 1
)lua";

constexpr const char* leave_text = R"lua(
give_back_unknown(1)
for i = 2, ARGV[1] + 1 do
    if #call('XPENDING', jobs, 'workers', '-', '+', 1, ARGV[i]) == 0 then
        call('XGROUP', 'DELCONSUMER', jobs, 'workers', ARGV[i])
    end
end
return 1
)lua";

struct step_text {
    const char* name;
    const char* body;
};
constexpr step_text texts[] = {
    {"put", put_text},         {"take", take_text},       {"begin", begin_text},
    {"renew", renew_text},     {"done", done_text},       {"retry", retry_text},
    {"release", release_text}, {"stats", stats_text},     {"dead", dead_text},
    {"revive", revive_text},   {"forget", forget_text},   {"join", join_text},
    {"leave", leave_text},
};
static_assert(std::size(texts) == static_cast<std::size_t>(work_step::count));
static_assert(work_queue::payload_max == 4194304, "payload_most in the scripts");

}  // namespace

std::string script_of(work_step step) {
    const step_text& which = texts[static_cast<std::size_t>(step)];
    return std::string("-- rondo work_queue: ") + which.name + tools + which.body;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
