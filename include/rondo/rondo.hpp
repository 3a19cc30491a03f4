// SPDX-License-Identifier: MIT
// All of rondo, for programs. Libraries include what they use: it compiles faster and says more.
#pragma once

#include <rondo/as_completed.hpp>
#include <rondo/bridge.hpp>
#include <rondo/buffer.hpp>
#include <rondo/config.hpp>
#include <rondo/dns.hpp>
#include <rondo/endpoint.hpp>
#include <rondo/error.hpp>
#include <rondo/executor.hpp>
#include <rondo/file.hpp>
#include <rondo/future.hpp>
#include <rondo/gather.hpp>
#include <rondo/generator.hpp>
#include <rondo/loop.hpp>
#include <rondo/merge.hpp>
#include <rondo/net.hpp>
#include <rondo/operation.hpp>
#include <rondo/probe.hpp>
#include <rondo/queue.hpp>
#include <rondo/race.hpp>
#include <rondo/retry.hpp>
#include <rondo/run.hpp>
#include <rondo/serve.hpp>
#include <rondo/sleep.hpp>
#include <rondo/stream.hpp>
#include <rondo/sync.hpp>
#include <rondo/task.hpp>
#include <rondo/task_group.hpp>
#include <rondo/task_local.hpp>
#include <rondo/thread_sync.hpp>
#include <rondo/timer.hpp>
#include <rondo/wait.hpp>
#include <rondo/wait_queue.hpp>
