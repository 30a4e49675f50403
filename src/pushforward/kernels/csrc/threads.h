// Work in parts, taken by whichever threads come: the kernels' own threads, which wait for no thread that does not run.
#pragma once
#include <cstddef>
#include <cstdlib>

namespace threads {

// Runs run(task, k) for k = 0 .. parts - 1, in the calling thread and in at most `most` - 1 others.
//
// The caller takes whatever part nobody has taken, and at the end waits only for parts that another thread is in the middle
// of: a thread that the system has not started by then takes part no more.
void run(long parts, long most, void (*run)(const void *task, long part), const void *task);

} // namespace threads

// Each build has its own copy of everything here, compiled for its own instructions.
namespace {

// task(k) for k = 0 .. parts - 1.
template <class Task> void in_parts(long parts, long most, const Task &task) {
    if (parts < 2 || most < 2)
        for (long part = 0; part < parts; part++) task(part);
    else
        threads::run(parts, most, [](const void *task, long part) { (*(const Task *)task)(part); }, &task);
}

// The same for k = 0 .. count - 1, `size` of them a part.
template <class Task> void in_parts_of(long size, long count, long most, const Task &task) {
    in_parts((count + size - 1) / size, most, [&](long part) {
        for (long k = part * size; k < (part + 1) * size && k < count; k++) task(k);
    });
}

// Memory that a thread keeps: to allocate it at every call takes longer than to fill it.
struct Memory {
    void *memory = nullptr;
    size_t size = 0;
    void *of(size_t wanted) {
        if (wanted > size) {
            free(memory);
            size = wanted;
            memory = aligned_alloc(64, (wanted + 63) / 64 * 64);
        }
        return memory;
    }
    ~Memory() { free(memory); }
};

} // namespace
