// SPDX-License-Identifier: MIT
// Tasks that meet. Between two awaits a task is alone on its loop, so most data needs no protection
// at all; what is here is for what must hold across an await, and for waiting for one another.
//
//   something must not be interleaved          mutex; recursive_mutex if it calls itself
//   many may read, one may write               rwlock
//   at most so many at a time                  semaphore; bounded_semaphore if releases must match
//   it has happened                            event; future<T> if it has a value
//   what a mutex guards has changed            condition
//   nobody goes on before all are here         barrier
//   the first one does it, the others wait     once
//   the latest value is what counts            watch<T>
//   every item counts, for everybody           broadcast<T>
//   every item counts, for one of many         queue<T> (queue.hpp), the one to take where in doubt
//
// All of them are lists of waiters (wait_queue.hpp), first come first served, handed over and never
// grabbed. All keep law 3: what was granted to a task that is cancelled before it has run goes to
// the next in line, and the wait throws. Waking, handing over and leaving neither allocate nor
// throw, and take one step for each task concerned. `describe()` says who holds and how many wait;
// a dump of tasks says the same of what each waits for.
//
// They belong to one loop and one thread and must outlive whoever waits: destroying one before ends
// the program with a sentence.
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
