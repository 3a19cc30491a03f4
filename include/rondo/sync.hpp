// SPDX-License-Identifier: MIT
// Synchronization between tasks of one loop. Between two awaits a task is alone on its loop, so
// most data needs no protection. Use these for state that must stay consistent across an await, and
// to make tasks wait for each other.
//
//   a section must not be interleaved          mutex; recursive_mutex if it calls itself
//   many may read, one may write               rwlock
//   at most n tasks at a time                  semaphore; bounded_semaphore to check the releases
//   something has happened                     event; future<T> if it has a value
//   the state that a mutex guards changed      condition
//   no task continues before all have arrived  barrier
//   the first task does it, the others wait    once
//   only the latest value matters              watch<T>
//   every receiver gets every item             broadcast<T>
//   one of many receivers gets each item       queue<T> (queue.hpp); use it if in doubt
//
// Each of them is a FIFO of waiters (wait_queue.hpp). A lock, permit or item is handed to the
// longest waiter; a newcomer cannot overtake. Law 3 holds for all: if a task is cancelled after it
// was granted something and before it has run, the grant goes to the next waiter and the wait
// throws. Waking, handing over and leaving neither allocate nor throw, and take one step per task
// concerned. `describe()` says who holds the primitive and how many wait. A dump of all tasks shows
// the same text for each waiting task.
//
// Each belongs to one loop and one thread, and must outlive its waiters: destroying one that has
// waiters aborts with a sentence.
#pragma once

#include <rondo/sync/barrier.hpp>
#include <rondo/sync/broadcast.hpp>
#include <rondo/sync/condition.hpp>
#include <rondo/sync/event.hpp>
#include <rondo/sync/mutex.hpp>
#include <rondo/sync/once.hpp>
#include <rondo/sync/rwlock.hpp>
#include <rondo/sync/semaphore.hpp>
#include <rondo/sync/watch.hpp>
