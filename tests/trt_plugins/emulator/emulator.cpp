// Copyright 2026 spatial_ttt developers
// SPDX-License-Identifier: Apache-2.0
#include "emulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {
namespace {

constexpr int kWarp = 32;
constexpr size_t kStack = 64 * 1024;
constexpr size_t kMostShared = 227 * 1024;

struct Copy {
    void* to;
    const void* from;
    size_t bytes, zeros;
};

struct Barrier {
    int arrived = 0;
    int round = 0;
};

// A coroutine that runs one thread of block after block.
struct Thread {
    jmp_buf place;
    bool started = false;
    std::unique_ptr<unsigned char[]> stack{new unsigned char[kStack]};
    dim3 index;
    bool done = false;
    std::vector<Copy> open;  // copies not yet committed
    std::deque<std::vector<Copy>> committed;
};

struct Warp {
    Barrier barrier;
    float slots[kWarp];
};

struct Block {
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    Barrier barrier;
    int alive = 0;
    int running = 0;
    jmp_buf scheduler;
    const std::function<void()>* body = nullptr;
};

Block block;
alignas(128) unsigned char shared[kMostShared];

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "emulator: %s\n", what.c_str());
    std::abort();
}

Thread& own() { return block.threads[block.running]; }

// Contexts are only made with ucontext: its switches cost a system call each.
void yield() {
    if (_setjmp(own().place) == 0) _longjmp(block.scheduler, 1);
}

void meet(Barrier& barrier, int expected) {
    const int round = barrier.round;
    if (++barrier.arrived == expected) {
        barrier.arrived = 0;
        ++barrier.round;
        return;
    }
    while (barrier.round == round) {
        yield();
    }
}

void thread_main() {
    for (;;) {
        (*block.body)();
        own().done = true;
        --block.alive;
        yield();
    }
}

void start(Thread& thread) {
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = thread.stack.get();
    context.uc_stack.ss_size = kStack;
    context.uc_link = nullptr;
    makecontext(&context, thread_main, 0);
    thread.started = true;
    setcontext(&context);
}

void resume(int number) {
    block.running = number;
    Thread& thread = block.threads[number];
    threadIdx = thread.index;
    if (_setjmp(block.scheduler) != 0) return;
    if (!thread.started) start(thread);
    _longjmp(thread.place, 1);
}

// Run every thread of a block to its end; a round in which nothing moves would never end.
void run_block(bool reverse) {
    const int count = static_cast<int>(block.threads.size());
    for (auto& thread : block.threads) thread.done = false;
    for (auto& warp : block.warps) warp = Warp{};
    block.barrier = Barrier{};
    block.alive = count;
    for (int64_t rounds = 0; block.alive > 0; ++rounds) {
        if (rounds > 10'000'000) fail("threads wait for each other at different barriers");
        for (int i = 0; i < count; ++i) {
            const int number = reverse ? count - 1 - i : i;
            if (!block.threads[number].done) resume(number);
        }
    }
    for (const auto& thread : block.threads) {
        if (!thread.open.empty() || !thread.committed.empty()) {
            fail("a thread ended with copies that nobody waited for");
        }
    }
}

void prepare(dim3 size) {
    const int count = size.x * size.y * size.z;
    if (static_cast<int>(block.threads.size()) != count) {
        block.threads = std::vector<Thread>(count);
        block.warps = std::vector<Warp>((count + kWarp - 1) / kWarp);
    }
    for (int i = 0; i < count; ++i) {
        block.threads[i].index = dim3(i % size.x, i / size.x % size.y, i / (size.x * size.y));
    }
}

}  // namespace

int lane() { return block.running % kWarp; }

float& lane_slot(int lane) { return block.warps[block.running / kWarp].slots[lane]; }

void meet_warp() { meet(block.warps[block.running / kWarp].barrier, kWarp); }

unsigned char* shared_memory() { return shared; }

void copy_later(void* to, const void* from, size_t bytes, size_t zeros) {
    if (reinterpret_cast<uintptr_t>(to) % bytes || reinterpret_cast<uintptr_t>(from) % bytes) {
        fail("an asynchronous copy is not aligned to its size");
    }
    own().open.push_back({to, from, bytes, zeros});
}

void commit_copies() {
    own().committed.push_back(std::move(own().open));
    own().open.clear();
}

void wait_for_copies(int pending) {
    auto& committed = own().committed;
    while (static_cast<int>(committed.size()) > pending) {
        for (const Copy& copy : committed.front()) {
            std::memcpy(copy.to, copy.from, copy.bytes - copy.zeros);
            std::memset(static_cast<char*>(copy.to) + copy.bytes - copy.zeros, 0, copy.zeros);
        }
        committed.pop_front();
    }
}

void run(dim3 grid, dim3 size, size_t shared_bytes, const std::function<void()>& thread) {
    const int count = size.x * size.y * size.z;
    if (count % kWarp != 0 || count > 1024)
        fail("a block has whole warps and 1024 threads at most");
    if (shared_bytes > kMostShared) fail("more shared memory than any GPU has");
    const char* order = std::getenv("EMULATOR_ORDER");
    const bool reverse = order != nullptr && std::string(order) == "reverse";
    prepare(size);
    block.body = &thread;
    gridDim = grid;
    blockDim = size;
    for (unsigned z = 0; z < grid.z; ++z) {
        for (unsigned y = 0; y < grid.y; ++y) {
            for (unsigned x = 0; x < grid.x; ++x) {
                blockIdx = dim3(x, y, z);
                std::memset(shared, 0xff, sizeof shared);  // NaN in every float format
                run_block(reverse);
            }
        }
    }
}

}  // namespace emulator

void __syncthreads() { emulator::meet(emulator::block.barrier, emulator::block.alive); }

void __syncwarp() { emulator::meet_warp(); }
