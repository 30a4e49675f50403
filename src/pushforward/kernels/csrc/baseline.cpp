// For the instructions that every processor of the architecture has.
#define NAME(function) function##_baseline
#define REGISTER_BYTES 16
#include "kernels.inc"
#include "sizes.inc"

#include <Python.h>

// The best instruction set of this processor: 0 baseline, 1 AVX2, 2 AVX-512.
extern "C" int32_t instruction_set() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

// Python calls the functions through ctypes; the empty module lets its own tools build and find the file.
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
PyMODINIT_FUNC PyInit__native() { return PyModule_Create(&definition); }
