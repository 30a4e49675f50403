// See threads.h. One pool serves all builds of the kernels.
#include "threads.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

namespace threads {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

// A worker that comes so soon found a processor that nobody else wanted.
constexpr microseconds SOON{100};

// Look whether something is over before sleeping until then: to wake up takes tens of microseconds. But not for long where
// other threads want the processor.
template <class Condition> void look(bool is_idle, const Condition &is_over) {
    const auto end = Clock::now() + microseconds(is_idle ? 200 : 5);
    while (!is_over() && Clock::now() < end)
        for (int k = 0; k < 16; k++)
#if defined(__x86_64__)
            __builtin_ia32_pause();
#else
            std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

// What is to be done. Parts are handed out by a counter; a thread that comes late finds none left, and touches nothing of
// the caller's.
struct Job {
    void (*run)(const void *, long);
    const void *task;
    long parts;
    long places; // for how many more threads
    const Clock::time_point posted = Clock::now();
    std::atomic<long> next{0}, done{0};
    std::atomic<bool> awaited{false};

    Job(void (*run)(const void *, long), const void *task, long parts, long places)
        : run(run), task(task), parts(parts), places(places) {}
};

class Pool {
  public:
    void work_on(const std::shared_ptr<Job> &job) {
        const long places = job->places;
        {
            std::lock_guard<std::mutex> lock(mutex);
            jobs.push_back(job);
            posts.fetch_add(1);
            while (workers < places && start()) workers++;
        }
        for (long k = 0; k < places; k++) came.notify_one();
        take_parts(*job);
        look(is_idle.load(), [&] { return job->done.load() == job->parts; });
        std::unique_lock<std::mutex> lock(mutex);
        for (auto at = jobs.begin(); at != jobs.end(); ++at)
            if (*at == job) {
                jobs.erase(at);
                break;
            }
        job->awaited.store(true);
        while (job->done.load() < job->parts) finished.wait(lock);
    }

  private:
    std::mutex mutex;
    std::condition_variable came, finished;
    std::deque<std::shared_ptr<Job>> jobs; // that have places left
    std::atomic<long> posts{0};
    std::atomic<bool> is_idle{true}; // the machine, when a worker came last
    long workers = 0;

    void take_parts(Job &job) {
        for (long part; (part = job.next.fetch_add(1)) < job.parts;) {
            job.run(job.task, part);
            // The last one; if the caller sleeps by now, or is about to, it must hear of it.
            if (job.done.fetch_add(1) + 1 == job.parts && job.awaited.load()) {
                std::lock_guard<std::mutex> lock(mutex);
                finished.notify_all();
            }
        }
    }

    void work() {
        for (;;) {
            const long seen = posts.load();
            std::shared_ptr<Job> job;
            {
                std::unique_lock<std::mutex> lock(mutex);
                while (jobs.empty()) came.wait(lock);
                job = jobs.front();
                if (--job->places == 0) jobs.pop_front();
            }
            is_idle.store(Clock::now() - job->posted < SOON);
            take_parts(*job);
            job.reset();
            look(is_idle.load(), [&] { return posts.load() != seen; });
        }
    }

    // Another worker, which ends with the process; none if the system has none left.
    bool start() {
        // Signals are for the threads of the host.
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_t thread;
        const bool started = pthread_create(&thread, nullptr, [](void *pool) -> void * {
            ((Pool *)pool)->work();
            return nullptr;
        }, this) == 0;
        if (started) pthread_detach(thread);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return started;
    }
};

// Never destroyed: at the end of the process its threads may still wait in it. A child process has none of the threads,
// and perhaps a mutex that is locked for ever, so it gets a pool of its own.
Pool *pool() {
    static std::atomic<Pool *> current{nullptr};
    static const bool registered = [] {
        current.store(new Pool);
        pthread_atfork(nullptr, nullptr, [] { current.store(new Pool); });
        return true;
    }();
    (void)registered;
    return current.load();
}

} // namespace

void run(long parts, long most, void (*run)(const void *, long), const void *task) {
    pool()->work_on(std::make_shared<Job>(run, task, parts, (most < parts ? most : parts) - 1));
}

} // namespace threads
