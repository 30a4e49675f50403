// For x86 processors since about 2013, in float64.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#define FLOAT64
#define NAME(function) function##_float64_avx2
#define REGISTER_BYTES 32
#include "kernels.inc"
#endif
